/** The newest cases by number and type; a new one flashes in. No personal data: codes and composed titles only. */
import { type CaseRow, isOpen } from "../contract";
import { attribute, h, keyed, text } from "../dom";
import { type Word, clockTime, day, span, stateName, t } from "../i18n";
import { type Tile, type View, shell } from "./tile";

const DAY_MS = 86_400_000;
const COLUMNS: readonly Word[] = ["newest.number", "newest.type", "newest.place", "newest.state", "newest.time", "newest.age"];

export function newest(): Tile {
  const head = h("div", { class: "row head", role: "row" }, ...COLUMNS.map((word) => h("span", { role: "columnheader" }, t(word))));
  const body = h("div", { class: "rows", role: "rowgroup" });
  const none = h("p", { class: "empty" }, t("newest.none"));
  const element = shell("newest", "tile.newest", h("div", { class: "table", role: "table" }, head, body, none));
  let room = 12; // whole rows that fit; nothing scrolls
  let place = "";
  new ResizeObserver(() => {
    if (head.offsetHeight) room = Math.max(1, Math.floor(body.clientHeight / head.offsetHeight)); // all rows are as high as the heading
  }).observe(body);

  return {
    id: "newest",
    region: "right",
    element,
    update(view: View) {
      const known = place === `${view.realm}/${view.division}` && view.model !== null; // the first fill does not flash
      place = view.model ? `${view.realm}/${view.division}` : "";
      const rows = (view.model?.newest ?? []).slice(0, room);
      none.hidden = !view.model || rows.length > 0;
      keyed(
        body,
        rows,
        (row) => row.case_id,
        (row) => make(row, known && !view.busy),
        (line, row) => update(line, row, view),
      );
    },
  };
}

function make(row: CaseRow, flash: boolean): HTMLElement {
  const cells = COLUMNS.map((_, index) => h("span", { role: "cell", class: `cell-${index}` }));
  return h("div", { class: flash ? "row fresh" : "row", role: "row", "data-case": row.case_id, "data-number": row.case_number }, ...cells);
}

function update(line: HTMLElement, row: CaseRow, view: View): void {
  const [number, type, place, state, time, age] = line.children as unknown as [HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement];
  const now = view.model!.now(view.wall);
  text(number, row.case_number);
  text(type, view.typeName(row.type, row.title));
  attribute(type, "title", row.title);
  text(place, view.places.shortName(row.division, view.division));
  text(state, stateName(row.state));
  attribute(line, "data-state", row.state);
  attribute(line, "data-open", String(isOpen(row.state)));
  text(time, now - row.received_at < DAY_MS ? clockTime(row.received_at) : day(row.received_at).slice(5));
  text(age, span(now - row.received_at));
}
