/** The data-trust band: may this picture be believed? Link, newest data, heart-beat, completeness, stream against store. */
import { attribute, h, text } from "./dom";
import { type Word, clockTime, dayLong, number, seconds, span, t } from "./i18n";
import type { Session } from "./session";

const COMPLETENESS = [
  ["applied", "trust.applied"],
  ["repeated", "trust.repeated"],
  ["refused", "trust.refused"],
  ["dead", "trust.dead"],
] as const satisfies readonly (readonly [string, Word])[];

/** Shape beside words: the state is never told by colour alone. */
const MARK = { connecting: "◌", live: "●", stale: "▲" } as const;

export class TrustBand {
  readonly element: HTMLElement;
  private readonly mark = h("span", { class: "mark", "aria-hidden": "true" });
  private readonly link = h("strong", { class: "link" });
  private readonly more = h("span", { class: "link-more" });
  private readonly newest = item("newest", "trust.newest");
  private readonly heartbeat = item("heartbeat", "trust.heartbeat");
  private readonly reconcile = item("reconcile", "trust.reconcile");
  private readonly lag = item("lag", "trust.lag");
  private readonly counted = h("span", { class: "group-name" }, t("trust.completeness"));
  private readonly counts = new Map(COMPLETENESS.map(([field, word]) => [field, item(field, word)]));
  private readonly readPort = h("span", { class: "read-port", "data-field": "read-port" });

  constructor() {
    this.element = h(
      "section",
      { class: "trust", "data-tile": "trust", "data-state": "connecting", "aria-label": t("trust.label") },
      h("div", { class: "trust-link", role: "status" }, this.mark, this.link, this.more),
      this.newest,
      this.heartbeat,
      h("div", { class: "completeness", "data-tile": "completeness" }, this.counted, ...this.counts.values(), this.lag),
      this.reconcile,
      this.readPort,
    );
  }

  update(session: Session): void {
    const link = session.link();
    attribute(this.element, "data-state", link);
    attribute(this.element, "data-resumes", String(session.resumes));
    attribute(this.element, "data-frames", String(session.frames));
    text(this.mark, MARK[link]);
    text(this.link, t(`trust.${link}`));
    text(this.more, this.explain(session, link));

    const newest = session.newestAt();
    const wall = session.wall();
    const logTime = session.realm === "replay";
    text(this.newest.firstElementChild!, t(logTime ? "trust.dataTime" : "trust.newest"));
    value(this.newest, newest === null ? t("trust.none") : logTime ? `${dayLong(newest)} ${clockTime(newest)}` : t("trust.ago", { age: span(wall - newest) }), newest ?? "");
    value(this.heartbeat, session.clock ? t("trust.ago", { age: seconds(session.silence()) }) : t("trust.pending"), Math.round(session.silence()));

    const snapshot = session.snapshot;
    for (const [field] of COMPLETENESS) value(this.counts.get(field)!, snapshot ? number(snapshot.completeness[field]) : "—", snapshot?.completeness[field] ?? "");
    if (snapshot) text(this.counted, t("trust.completenessAt", { time: clockTime(session.snapshotAt) }));
    const reasons = Object.entries(snapshot?.completeness.by_reason ?? {});
    attribute(this.counts.get("refused")!, "title", reasons.map(([reason, count]) => `${reason}: ${count}`).join("\n"));
    value(this.lag, snapshot ? number(snapshot.freshness.lag_records) : "—", snapshot?.freshness.lag_records ?? "");
    const told = session.reconciled === "pending" ? t("trust.pending") : `${t(`trust.${session.reconciled}`)} ${clockTime(session.reconciledAt)}`;
    value(this.reconcile, told, session.reconciled);

    this.readPort.hidden = !session.readPortAway;
    if (session.readPortAway) text(this.readPort, t(session.model ? "trust.readAway" : "trust.readNever"));
  }

  private explain(session: Session, link: string): string {
    if (link !== "stale") return session.resumes > 0 && session.attempt === 0 ? t("trust.resumed") : "";
    const parts = [t("trust.staleFor", { age: span(Math.max(session.silence(), session.brokerSilence())) })];
    if (session.attempt > 0) parts.push(t("trust.retry", { n: session.attempt }));
    else if (session.brokerSilence() > session.silence()) parts.push(t("trust.brokerAway", { age: span(session.brokerSilence()) }));
    return parts.join(" · ");
  }
}

function item(field: string, word: Word): HTMLElement {
  return h("span", { class: "trust-item", "data-field": field, "data-value": "" }, h("span", { class: "item-name" }, t(word)), h("span", { class: "item-value" }, "—"));
}

function value(element: HTMLElement, shown: string, raw: string | number): void {
  text(element.lastElementChild!, shown);
  attribute(element, "data-value", String(raw));
}
