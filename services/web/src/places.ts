/** Names of divisions, and where their tiles stand in the schematic (示意图): neighbours stay neighbours, areas and borders are not drawn. */
import type { Division } from "./contract";
import { divisionName } from "./i18n";

export interface Cell {
  x: number; // in half tiles from the west
  y: number; // in tiles from the north
}

/** The 21 cities laid by hand: 韶关 in the north, 湛江 in the south-west, 潮汕 in the east, the delta around 广州. */
const CITIES: Record<string, Cell> = {
  "440200": { x: 6, y: 0 }, "441400": { x: 12, y: 0 },
  "441800": { x: 5, y: 1 }, "441600": { x: 9, y: 1 }, "445100": { x: 13, y: 1 },
  "441200": { x: 3, y: 2 }, "440600": { x: 5, y: 2 }, "440100": { x: 7, y: 2 }, "441300": { x: 9, y: 2 },
  "445200": { x: 12, y: 2 }, "440500": { x: 14, y: 2 },
  "445300": { x: 2, y: 3 }, "440700": { x: 4, y: 3 }, "442000": { x: 6, y: 3 }, "441900": { x: 8, y: 3 }, "441500": { x: 11, y: 3 },
  "440900": { x: 1, y: 4 }, "441700": { x: 3, y: 4 }, "440400": { x: 6, y: 4 }, "440300": { x: 8, y: 4 },
  "440800": { x: 0, y: 5 },
};

export class Places {
  private readonly byCode: Map<string, Division>;

  constructor(rows: readonly Division[]) {
    this.byCode = new Map(rows.map((row) => [row.code, row]));
  }

  has(code: string): boolean {
    return this.byCode.has(code);
  }

  level(code: string): string {
    return this.byCode.get(code)?.level ?? "town";
  }

  name(code: string): string {
    return divisionName(code, this.byCode.get(code)?.name ?? code);
  }

  /** 深圳 for 深圳市. */
  tileName(code: string): string {
    return this.name(code).replace(/(?<=..)市$/, "");
  }

  /** 深圳 南山区, for any code of the register down to the village; without the part that `within` already says. */
  shortName(code: string, within: string): string {
    const county = this.byCode.has(code.slice(0, 6)) ? code.slice(0, 6) : code;
    const path = this.path(county).filter((part) => part !== "440000");
    const tail = path.slice(path.indexOf(within) + 1);
    return (tail.length ? tail : path.slice(-1)).map((part, index, all) => (index < all.length - 1 ? this.tileName(part) : this.name(part))).join(" ");
  }

  /** Codes from the province down to `code`. */
  path(code: string): string[] {
    const codes: string[] = [];
    for (let place = this.byCode.get(code); place; place = this.byCode.get(place.parent)) codes.unshift(place.code);
    return codes.length ? codes : [code];
  }

  /** Cells of the children of a division: the province by hand, a city from the centres of its counties. */
  layout(codes: readonly string[]): Map<string, Cell> {
    if (codes.every((code) => code in CITIES)) return new Map(codes.map((code) => [code, CITIES[code]!]));
    return this.fromCentres(codes);
  }

  /** Rows from north to south, each from west to east: keeps who lies beside whom, roughly. */
  private fromCentres(codes: readonly string[]): Map<string, Cell> {
    const rows = Math.max(1, Math.round(Math.sqrt(codes.length * 0.8)));
    const lat = (code: string): number => this.byCode.get(code)?.lat ?? -90;
    const lon = (code: string): number => this.byCode.get(code)?.lon ?? 180;
    const southward = [...codes].sort((a, b) => lat(b) - lat(a) || a.localeCompare(b));
    const cells = new Map<string, Cell>();
    const widest = Math.ceil(codes.length / rows);
    for (let y = 0; y < rows; y += 1) {
      const row = southward.slice(Math.round((y * codes.length) / rows), Math.round(((y + 1) * codes.length) / rows));
      row.sort((a, b) => lon(a) - lon(b)).forEach((code, index) => cells.set(code, { x: widest - row.length + 2 * index, y }));
    }
    return cells;
  }
}
