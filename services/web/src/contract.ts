/** What the dashboard's interfaces answer. */
export interface Counts {
  open: number;
  opened_today: number;
  closed_today: number;
  total: number;
}

export interface ChildRow extends Counts {
  code: string;
  name: string;
}

export interface TypeRow {
  code: string;
  name: string;
  open: number;
  total: number;
}

export interface CaseRow {
  case_id: string;
  case_number: string;
  type: string;
  title: string;
  division: string;
  state: string;
  occurred_at: number;
  received_at: number;
  seq: number;
}

/** Offsets by partition: the *next* one, so everything below is counted and nothing from it on. */
export type Offsets = Record<string, number>;

export interface Snapshot {
  realm: string;
  division: string;
  /** Now at the store; the newest record's time in a realm that runs on log time. */
  at: number;
  offsets: Offsets;
  totals: Counts;
  children: ChildRow[];
  types: TypeRow[];
  trend: { t: number; opened: number; closed: number }[];
  newest: CaseRow[];
  freshness: { events_ms: number | null; deltas_ms: number | null; lag_records: number };
  completeness: {
    facts: number;
    applied: number;
    refused: number;
    repeated: number;
    dead: number;
    by_reason: Record<string, number>;
  };
}

/** A live_delta as framed: minus one at the old (county, type, state), plus one at the new. An empty `county` says that the case left. */
export interface Delta {
  partition: number;
  offset: number;
  at: number;
  case_id: string;
  case_number: string;
  case_seq: number;
  type: string;
  title: string;
  county: string;
  county_from: string;
  incident_type: string;
  incident_type_name: string;
  type_from: string;
  state: string;
  state_from: string;
  division: string;
  division_name: string;
  occurred_at: number;
  received_at: number;
}

export interface Clock {
  now: number;
  offsets: Offsets;
  broker_age_ms: number;
  newest_at: number | null;
}

export interface Division {
  code: string;
  name: string;
  level: string;
  parent: string;
  lon: number | null;
  lat: number | null;
}

export interface Access {
  realms: string[];
  principal: { id: string; kind: string; level: string; division: string };
}

const ENDED = new Set(["closed", "evaluated", "archived", "declined", "merged", "withdrawn"]);
export const isOpen = (state: string): boolean => state !== "" && !ENDED.has(state);
export const hasEnded = (state: string): boolean => ENDED.has(state);

/** The digits every division below `code` begins with: 440000 → 44, 440300 → 4403. */
export const prefixOf = (code: string): string =>
  code.length !== 6 ? code : code.endsWith("0000") ? code.slice(0, 2) : code.endsWith("00") ? code.slice(0, 4) : code;

export const isWithin = (code: string, subtree: string): boolean => code !== "" && code.startsWith(prefixOf(subtree));

/** Of which child of `parent` a county is part: its city in the province, itself in a city. */
export const childOf = (county: string, parent: string): string => (parent.endsWith("0000") ? `${county.slice(0, 4)}00` : county);
