/** What a tile of the wall is. A new system adds a module here and a row in `index.ts`, nothing else. */
import { h } from "../dom";
import type { Word } from "../i18n";
import { t } from "../i18n";
import type { Model } from "../model";
import type { Places } from "../places";

/** All a tile may read. */
export interface View {
  model: Model | null; // null until the first snapshot
  realm: string;
  division: string;
  /** May be read by the key: links upward end here. */
  top: string;
  wall: number;
  /** More changes than anyone can follow: no flashes. */
  busy: boolean;
  places: Places;
  typeName(code: string, fallback: string): string;
  go(division: string): void;
}

export interface Tile {
  readonly id: string;
  readonly region: "left" | "centre" | "right";
  readonly element: HTMLElement;
  update(view: View): void;
}

/** The common shell: a titled section with `data-tile`; tests and later styling find it by that. */
export function shell(id: string, title: Word, ...body: (Node | string)[]): HTMLElement {
  const heading = `tile-${id}`;
  return h(
    "section",
    { class: `tile tile-${id}`, "data-tile": id, "aria-labelledby": heading },
    h("h2", { id: heading }, t(title)),
    h("div", { class: "tile-body" }, ...body),
  );
}
