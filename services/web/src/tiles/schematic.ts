/** The division's children as tiles of a schematic; a tile opens the level below. */
import type { ChildRow } from "../contract";
import { attribute, h, keyed, text } from "../dom";
import { length, number, t } from "../i18n";
import type { Cell } from "../places";
import { type Tile, type View, shell } from "./tile";

const STEPS = 5; // shades of one hue; the number is always written too

export function schematic(): Tile {
  const grid = h("div", { class: "map-grid", role: "list" });
  const many = h("span", { class: "legend-end" }, t("schematic.many"));
  const legend = h(
    "div",
    { class: "legend", "aria-hidden": "true" },
    h("span", {}, t("schematic.legend")),
    h("span", { class: "legend-end" }, t("schematic.few")),
    ...Array.from({ length: STEPS }, (_, step) => h("span", { class: "swatch", "data-step": step })),
    many,
  );
  const note = h("p", { class: "map-note" }, h("strong", {}, t("tile.schematicNote")), h("span", { class: "map-island" }, t("schematic.island")));
  const heading = h("span", { class: "map-place" });
  const element = shell("schematic", "tile.schematic", grid, h("div", { class: "map-foot" }, note, legend));
  element.querySelector("h2")!.append(heading);
  let latest: View | null = null;

  return {
    id: "schematic",
    region: "centre",
    element,
    update(view: View) {
      latest = view;
      text(heading, view.places.name(view.division));
      const rows = rowsOf(view);
      const cells = view.places.layout(rows.map((row) => row.code));
      const extent = { x: Math.max(2, ...[...cells.values()].map((cell) => cell.x + 2)), y: Math.max(1, ...[...cells.values()].map((cell) => cell.y + 1)) };
      grid.style.gridTemplateColumns = `repeat(${extent.x}, minmax(0, 1fr))`;
      grid.style.gridTemplateRows = `repeat(${extent.y}, minmax(0, 1fr))`;
      attribute(grid, "data-level", view.places.level(view.division));
      const most = Math.max(1, ...rows.map((row) => row.open));
      text(many, `${t("schematic.many")} ${number(most)}`);
      keyed(
        grid,
        rows,
        (row) => row.code,
        (row) => make(row.code, () => latest?.go(row.code)),
        (tile, row) => update(tile, row, cells.get(row.code) ?? { x: 0, y: 0 }, most, view),
      );
    },
  };
}

/** Children of the snapshot; a division without children (a county) stands for itself. */
function rowsOf({ model, division }: View): ChildRow[] {
  if (!model) return [];
  const rows = [...model.children.values()].filter((row) => row.code !== division || row.total !== 0 || model.children.size === 1);
  return rows.length ? rows : [{ ...model.totals, code: division, name: "" }];
}

function make(code: string, open: () => void): HTMLElement {
  return h(
    "div",
    { class: "map-cell", role: "listitem" },
    h(
      "button",
      { class: "place", type: "button", "data-division": code, click: open },
      h("span", { class: "place-name" }),
      h("span", { class: "place-open" }),
      h("span", { class: "place-today" }),
    ),
  );
}

function update(cell: HTMLElement, row: ChildRow, at: Cell, most: number, view: View): void {
  cell.style.gridColumn = `${at.x + 1} / span 2`;
  cell.style.gridRow = String(at.y + 1);
  const button = cell.firstElementChild as HTMLButtonElement;
  const [name, open, today] = button.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
  const own = row.code === view.division;
  const title = view.places.name(row.code);
  text(name, own && view.places.level(row.code) !== "county" ? `${title} ${t("schematic.own")}` : view.places.tileName(row.code));
  text(open, number(row.open));
  attribute(open, "data-length", length(row.open));
  text(today, `${t("schematic.today")} ${row.opened_today > 0 ? "+" : ""}${number(row.opened_today)}`);
  attribute(today, "data-length", length(row.opened_today));
  attribute(button, "data-value", String(row.open));
  attribute(button, "data-today", String(row.opened_today));
  attribute(button, "data-step", String(row.open <= 0 ? 0 : Math.min(STEPS - 1, 1 + Math.floor(((STEPS - 1) * row.open) / most - 1e-9))));
  attribute(button, "aria-label", `${title}: ${t("totals.open")} ${row.open}, ${t("totals.opened")} ${row.opened_today}. ${own ? "" : t("schematic.drill")}`);
  button.disabled = own;
}
