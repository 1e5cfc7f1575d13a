/** Joins snapshot and stream for one place (realm, division), keeps them joined, and knows how far the picture may be believed. */
import { Refused, fetchSnapshot } from "./api";
import type { Clock, Delta, Offsets, Snapshot } from "./contract";
import { day } from "./i18n";
import { Model } from "./model";
import { Stream } from "./stream";

const STALE_MS = 2_200; // one late clock event is jitter, two missed are not; with the tick it is said within 2.5 s
const BROKER_SILENT_MS = 3_000;
const RESNAPSHOT_MS = 30_000;
const FIRST_RESNAPSHOT_MS = 10_000; // the first reconciliation should not keep anyone waiting
const RETRY_MS = 3_000;
const KEPT_FRAMES = 5_000;

export type Link = "connecting" | "live" | "stale";
export type Reconciled = "pending" | "same" | "differed";

export class Session {
  model: Model | null = null;
  snapshot: Snapshot | null = null;
  snapshotAt = 0;
  readPortAway = false;
  reconciled: Reconciled = "pending";
  reconciledAt = 0;
  attempt = 0;
  resumes = 0;
  clock: Clock | null = null;
  private newestStored = 0;
  /** Frames applied since the page began this place. */
  frames = 0;
  private clockSeen = 0; // performance.now() of the newest clock event
  private readonly begun = performance.now();
  private stream: Stream | null = null;
  private frame: Delta[] = [];
  private covers: Offsets | null = null; // `frame` holds every frame of this scope from here on
  private timer = 0;
  private refreshing = false;
  private readonly abort = new AbortController();
  private stopped = false;
  private readonly logTime: boolean;

  constructor(
    readonly realm: string,
    readonly division: string,
    private readonly changed: () => void,
    private readonly refused: (error: Refused) => void,
  ) {
    this.logTime = realm === "replay";
    void this.refresh();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.abort.abort();
    this.stream?.stop();
  }

  /** The server's time now, as well as this page can tell. */
  wall(): number {
    return this.clock ? this.clock.now + (performance.now() - this.clockSeen) : Date.now();
  }

  /** Since when no clock event has come, ms. */
  silence(): number {
    return performance.now() - (this.clockSeen || this.begun);
  }

  brokerSilence(): number {
    return this.clock?.broker_age_ms ?? 0;
  }

  link(): Link {
    if (this.silence() > STALE_MS || this.brokerSilence() > BROKER_SILENT_MS) return "stale";
    return this.clockSeen ? "live" : "connecting";
  }

  /** Record time of the newest delta this picture knows of; null when there is none. */
  newestAt(): number | null {
    return Math.max(this.clock?.newest_at ?? 0, this.newestStored) || null;
  }

  private async refresh(): Promise<void> {
    if (this.refreshing) return;
    this.refreshing = true;
    let wait = this.reconciled === "pending" ? FIRST_RESNAPSHOT_MS : RESNAPSHOT_MS;
    try {
      const snapshot = await fetchSnapshot(this.realm, this.division, this.abort.signal);
      if (this.stopped) return;
      this.readPortAway = false;
      this.adopt(snapshot);
    } catch (error) {
      if (this.stopped) return;
      if (error instanceof Refused && error.status >= 400 && error.status < 500) return this.refused(error);
      this.readPortAway = true;
      wait = RETRY_MS;
      if (!this.stream) this.follow(null);
      this.changed();
    } finally {
      this.refreshing = false;
    }
    this.again(wait);
  }

  private again(ms: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.refresh(), ms);
  }

  /** Takes the snapshot for the picture, then counts the frames it does not hold yet. */
  private adopt(snapshot: Snapshot): void {
    const before = this.model;
    this.snapshot = snapshot;
    this.snapshotAt = this.wall();
    const age = snapshot.freshness.deltas_ms;
    if (age !== null) this.newestStored = this.wall() - age;
    const fresh = new Model(snapshot, this.logTime);
    const covered = this.covers !== null && Object.entries(this.covers).every(([p, offset]) => offset <= (snapshot.offsets[p] ?? 0));
    if (covered) {
      for (const delta of this.frame) fresh.apply(delta);
      if (before) this.compare(before, fresh, snapshot.offsets);
    } else if (before && this.covers) {
      return this.changed(); // the store is further behind than the frames kept: the picture we have is the newer one
    } else this.follow(snapshot.offsets);
    this.model = fresh;
    this.changed();
  }

  private compare(before: Model, fresh: Model, stored: Offsets): void {
    const reached = parse(this.stream?.position ?? "");
    if (Object.entries(stored).some(([p, offset]) => offset > (reached[p] ?? 0))) return; // the store is ahead: not the same instant
    const difference = before.differs(fresh);
    if (difference) console.warn("liandong: the stream's picture differed from the store's and was corrected:", difference);
    this.reconciled = difference ? "differed" : "same";
    this.reconciledAt = this.wall();
  }

  /** Begins the stream at `from`; null: at the head, before the first snapshot. */
  private follow(from: Offsets | null): void {
    this.stream?.stop();
    this.frame = [];
    this.covers = from && { ...from };
    this.stream = new Stream(this.realm, this.division, from ? render(from) : "", {
      delta: (delta) => this.onDelta(delta),
      clock: (clock) => this.onClock(clock),
      open: (resumed) => {
        this.attempt = 0;
        if (resumed) this.resumes += 1;
      },
      down: (attempt) => {
        this.attempt = attempt;
        this.changed();
      },
      gone: () => {
        this.covers = null;
        this.stream = null;
        this.again(500);
      },
      refused: this.refused,
    });
  }

  private onDelta(delta: Delta): void {
    this.frames += 1;
    this.frame.push(delta);
    if (this.frame.length > 2 * KEPT_FRAMES) {
      for (const gone of this.frame.splice(0, KEPT_FRAMES)) if (this.covers) this.covers[gone.partition] = gone.offset + 1;
    }
    if (this.model?.apply(delta)) this.changed();
  }

  private onClock(clock: Clock): void {
    this.clock = clock;
    this.clockSeen = performance.now();
    this.covers ??= { ...clock.offsets };
    this.model?.roll(day(this.model.now(clock.now)));
    this.changed();
  }
}

const render = (offsets: Offsets): string =>
  Object.entries(offsets)
    .map(([partition, offset]) => `${partition}:${offset}`)
    .join(",");

const parse = (position: string): Offsets =>
  Object.fromEntries(position.split(",").map((part) => part.split(":")).map(([p, offset]) => [p ?? "", Number(offset)]));
