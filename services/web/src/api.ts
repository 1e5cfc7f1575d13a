/** Calls to the dashboard with this tab's key. */
import type { Access, Division, Snapshot } from "./contract";

const KEY = "liandong.key";

export const storedKey = (): string => sessionStorage.getItem(KEY) ?? "";
export const storeKey = (key: string): void => sessionStorage.setItem(KEY, key);
export const forgetKey = (): void => sessionStorage.removeItem(KEY);

/** An answer that is not 2xx; `status` 0 when there was none. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

export async function call(path: string, signal?: AbortSignal, headers: Record<string, string> = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { headers: { Authorization: `Bearer ${storedKey()}`, ...headers }, cache: "no-cache", ...(signal && { signal }) });
  } catch (error) {
    throw new Refused(0, String(error));
  }
  if (!answer.ok) throw new Refused(answer.status, await answer.text().catch(() => ""));
  return answer;
}

const json = async <T>(path: string, signal?: AbortSignal): Promise<T> => (await (await call(path, signal)).json()) as T;

export const fetchAccess = (): Promise<Access> => json("/v1/realms");

/** The province, its cities and counties. */
export const fetchDivisions = async (): Promise<Division[]> =>
  (await json<{ divisions: Division[] }>("/v1/divisions?parent=440000&depth=2")).divisions;

/** Names of the incident types by code. */
export const fetchTypes = async (): Promise<Map<string, { name: string; name_en: string }>> =>
  new Map((await json<{ types: { code: string; name: string; name_en: string }[] }>("/v1/types")).types.map((row) => [row.code, row]));

export const fetchSnapshot = (realm: string, division: string, signal: AbortSignal): Promise<Snapshot> =>
  json(`/v1/snapshot?${new URLSearchParams({ realm, division, trend: "minute" })}`, signal);
