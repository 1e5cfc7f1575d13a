/** The live stream: server-sent events over fetch (so that the key travels in a header), resumed by offset vector without end. */
import { Refused, call } from "./api";
import type { Clock, Delta } from "./contract";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
const SILENT_MS = 5_000; // clock events come each second: a stream silent for so long is dead, whatever TCP says

export interface Listener {
  delta(frame: Delta): void;
  clock(clock: Clock): void;
  open(resumed: boolean): void;
  /** The stream is down; the next attempt follows. */
  down(attempt: number): void;
  /** It cannot be resumed from here (410): a fresh snapshot is needed. */
  gone(): void;
  refused(error: Refused): void;
}

export class Stream {
  /** Id of the last event: the vector to resume from; "" begins at the head. */
  position: string;
  private stopped = false;
  private attempt = 0;
  private abort = new AbortController();
  private wake: () => void = () => undefined;
  private readonly online = (): void => this.wake();

  constructor(
    private readonly realm: string,
    private readonly division: string,
    from: string,
    private readonly listener: Listener,
  ) {
    this.position = from;
    window.addEventListener("online", this.online);
    void this.run();
  }

  stop(): void {
    this.stopped = true;
    window.removeEventListener("online", this.online);
    this.abort.abort();
    this.wake();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        await this.readOnce();
      } catch (error) {
        if (this.stopped) return;
        if (error instanceof Refused && error.status === 410) return this.listener.gone();
        if (error instanceof Refused && error.status >= 400 && error.status < 500) return this.listener.refused(error);
      }
      if (this.stopped) return;
      this.attempt += 1;
      this.listener.down(this.attempt);
      await this.pause(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.attempt - 1)) * (0.8 + 0.4 * Math.random()));
    }
  }

  private async readOnce(): Promise<void> {
    this.abort = new AbortController();
    let watchdog = setTimeout(() => this.abort.abort(), SILENT_MS);
    try {
      const query = new URLSearchParams({ realm: this.realm, division: this.division });
      const resume: Record<string, string> = this.position ? { "Last-Event-ID": this.position } : {};
      const answer = await call(`/v1/live?${query}`, this.abort.signal, resume);
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      this.listener.open(this.attempt > 0);
      this.attempt = 0;
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.stopped) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => this.abort.abort(), SILENT_MS);
        const events = (rest + value).split("\n\n");
        rest = events.pop() ?? "";
        for (const event of events) this.dispatch(event);
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  private dispatch(text: string): void {
    let name = "";
    let id = "";
    let data = "";
    for (const line of text.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("id: ")) id = line.slice(4);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (name === "delta") this.listener.delta(JSON.parse(data) as Delta);
    else if (name === "clock") this.listener.clock(JSON.parse(data) as Clock);
    if (id) this.position = id;
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
