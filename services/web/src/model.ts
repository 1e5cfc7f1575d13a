/** The picture: a snapshot plus every delta since. Holds the vector it stands at, so that no delta counts twice and none is missed. */
import { type CaseRow, type ChildRow, type Counts, type Delta, type Offsets, type Snapshot, childOf, hasEnded, isOpen, isWithin } from "./contract";
import { day } from "./i18n";

export const NEWEST = 30;
const HOUR_MS = 3_600_000;
const BIN_MS = HOUR_MS / 2;

export interface Bin {
  opened: number;
  closed: number;
}

export class Model {
  readonly division: string;
  readonly totals: Counts;
  readonly children: Map<string, ChildRow>;
  readonly types: Map<string, { code: string; name: string; open: number; total: number }>;
  readonly newest: CaseRow[];
  readonly stands: Offsets;
  /** Opened and closed by start of bin. */
  readonly trend = new Map<number, Bin>();
  /** Newest time seen: what "now" is in a realm that runs on log time. */
  newestReceived = 0;
  /** The day that "today" means, as 2026-11-22. */
  today: string;

  constructor(
    snapshot: Snapshot,
    private readonly logTime: boolean,
  ) {
    this.division = snapshot.division;
    this.totals = { ...snapshot.totals };
    this.children = new Map(snapshot.children.map((row) => [row.code, { ...row }]));
    this.types = new Map(snapshot.types.map((row) => [row.code, { ...row }]));
    this.newest = snapshot.newest.slice(0, NEWEST);
    this.stands = { ...snapshot.offsets };
    for (const point of snapshot.trend) this.flow(point.t, point.opened, point.closed);
    this.newestReceived = Math.max(logTime ? snapshot.at : 0, ...snapshot.newest.map((row) => row.received_at));
    this.today = day(this.now(snapshot.at));
  }

  /** What time it is in this realm. */
  now(wall: number): number {
    return this.logTime ? this.newestReceived || wall : wall;
  }

  /** Counts a delta; answers whether it changed anything (a repeat or what the snapshot holds does not). */
  apply(delta: Delta): boolean {
    if (delta.offset < (this.stands[delta.partition] ?? 0)) return false;
    this.stands[delta.partition] = delta.offset + 1;
    this.newestReceived = Math.max(this.newestReceived, delta.received_at);
    const existed = delta.state_from !== "" && isWithin(delta.county_from, this.division);
    const exists = delta.state !== "" && isWithin(delta.county, this.division);
    if (existed) this.count(delta.county_from, delta.type_from, "", isOpen(delta.state_from) ? -1 : 0, -1);
    if (exists) {
      this.count(delta.county, delta.incident_type, delta.incident_type_name, isOpen(delta.state) ? 1 : 0, 1);
      const opened = delta.state_from === "" || (hasEnded(delta.state_from) && !hasEnded(delta.state)) ? 1 : 0;
      const closed = hasEnded(delta.state) && !hasEnded(delta.state_from) ? 1 : 0;
      this.flow(delta.received_at, opened, closed);
      const received = day(delta.received_at);
      this.roll(received);
      if (received === this.today) this.countToday(delta.county, opened, closed);
    }
    this.list(delta, exists);
    return existed || exists;
  }

  /** A new day begins: what was counted for the old one is gone. An earlier day changes nothing. */
  roll(today: string): void {
    if (today <= this.today) return;
    this.today = today;
    for (const row of [this.totals, ...this.children.values()]) row.opened_today = row.closed_today = 0;
  }

  private count(county: string, type: string, typeName: string, open: number, total: number): void {
    const kind = this.types.get(type) ?? { code: type, name: typeName || type, open: 0, total: 0 };
    this.types.set(type, kind);
    for (const row of [this.totals, this.child(county), kind]) {
      row.open += open;
      row.total += total;
    }
  }

  private countToday(county: string, opened: number, closed: number): void {
    for (const row of [this.totals, this.child(county)]) {
      row.opened_today += opened;
      row.closed_today += closed;
    }
  }

  /** The child a county belongs to; a case at the division's own level gets a row of its own. */
  private child(county: string): ChildRow {
    const code = childOf(county, this.division);
    const row = this.children.get(code) ?? { code, name: "", open: 0, opened_today: 0, closed_today: 0, total: 0 };
    this.children.set(code, row);
    return row;
  }

  private flow(at: number, opened: number, closed: number): void {
    const start = Math.floor(at / BIN_MS) * BIN_MS;
    const bin = this.trend.get(start) ?? { opened: 0, closed: 0 };
    bin.opened += opened;
    bin.closed += closed;
    this.trend.set(start, bin);
  }

  /** Bins of the last 24 hours, oldest first, empty ones too. */
  lastDay(wall: number): [number, Bin][] {
    const end = Math.floor(this.now(wall) / BIN_MS) * BIN_MS;
    const bins: [number, Bin][] = [];
    for (let start = end - 24 * HOUR_MS + BIN_MS; start <= end; start += BIN_MS) {
      bins.push([start, this.trend.get(start) ?? { opened: 0, closed: 0 }]);
    }
    for (const start of this.trend.keys()) if (start < end - 26 * HOUR_MS) this.trend.delete(start);
    return bins;
  }

  private list(delta: Delta, exists: boolean): void {
    const place = this.newest.findIndex((row) => row.case_id === delta.case_id);
    if (place >= 0) {
      const row = this.newest[place]!;
      if (!exists) this.newest.splice(place, 1);
      else if (delta.case_seq > row.seq) {
        this.newest[place] = { ...row, state: delta.state, type: delta.incident_type, division: delta.division, title: delta.title, seq: delta.case_seq };
      }
      return;
    }
    if (!exists || delta.state_from !== "") return;
    const { case_id, case_number, title, division, state, occurred_at, received_at } = delta;
    const before = this.newest.findIndex((row) => row.received_at <= received_at);
    const row = { case_id, case_number, type: delta.incident_type, title, division, state, occurred_at, received_at, seq: delta.case_seq };
    this.newest.splice(before < 0 ? this.newest.length : before, 0, row);
    this.newest.length = Math.min(this.newest.length, NEWEST);
  }

  /** Names the first number in which two pictures of the same place differ; "" when they agree. */
  differs(other: Model): string {
    for (const field of ["open", "total"] as const) {
      if (this.totals[field] !== other.totals[field]) return `totals.${field}: ${this.totals[field]} ≠ ${other.totals[field]}`;
      for (const [code, row] of this.children) {
        const theirs = other.children.get(code)?.[field] ?? 0;
        if (row[field] !== theirs) return `${code}.${field}: ${row[field]} ≠ ${theirs}`;
      }
    }
    return "";
  }
}
