/** The ten types with most open cases, as bars. */
import { attribute, h, keyed, text } from "../dom";
import { number } from "../i18n";
import { type Tile, type View, shell } from "./tile";

const SHOWN = 10;

export function types(): Tile {
  const list = h("ol", { class: "bars" });
  return {
    id: "types",
    region: "left",
    element: shell("types", "tile.types", list),
    update({ model, typeName }: View) {
      const rows = [...(model?.types.values() ?? [])].filter((row) => row.open > 0);
      rows.sort((a, b) => b.open - a.open || a.code.localeCompare(b.code));
      const most = rows[0]?.open ?? 1;
      keyed(
        list,
        rows.slice(0, SHOWN),
        (row) => row.code,
        (row) =>
          h("li", { "data-type": row.code }, h("span", { class: "bar-name" }), h("span", { class: "bar-track" }, h("span", { class: "bar" })), h("span", { class: "bar-value" })),
        (element, row) => {
          const [name, track, value] = element.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
          text(name, typeName(row.code, row.name));
          text(value, number(row.open));
          attribute(element, "data-value", String(row.open));
          (track.firstElementChild as HTMLElement).style.width = `${Math.max(1, (100 * row.open) / most)}%`;
        },
      );
    },
  };
}
