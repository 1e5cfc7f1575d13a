/** The tiles of the wall, in the order they stand in their region. */
import { newest } from "./newest";
import { schematic } from "./schematic";
import type { Tile } from "./tile";
import { totals } from "./totals";
import { trend } from "./trend";
import { types } from "./types";

export const TILES: readonly (() => Tile)[] = [totals, types, schematic, trend, newest];
