/** Open, opened today, closed today, total. */
import { attribute, h, text } from "../dom";
import { type Word, length, number, t } from "../i18n";
import { type Tile, type View, shell } from "./tile";

const FIGURES = [
  ["open", "totals.open"],
  ["opened_today", "totals.opened"],
  ["closed_today", "totals.closed"],
  ["total", "totals.total"],
] as const satisfies readonly (readonly [string, Word])[];

export function totals(): Tile {
  const values = new Map(FIGURES.map(([field]) => [field, h("dd", { class: "figure", "data-value": "", "data-field": field }, "—")]));
  const list = h("dl", { class: "figures" }, ...FIGURES.map(([field, word]) => h("div", { class: `figure-${field}` }, h("dt", {}, t(word)), values.get(field)!)));
  return {
    id: "totals",
    region: "left",
    element: shell("totals", "tile.totals", list),
    update({ model }: View) {
      for (const [field] of FIGURES) {
        const element = values.get(field)!;
        text(element, model ? number(model.totals[field]) : "—");
        attribute(element, "data-length", length(model?.totals[field] ?? 0));
        attribute(element, "data-value", model ? String(model.totals[field]) : "");
      }
    },
  };
}
