/** The realm ribbon: whatever is not live says so on every screen. It is put back should anything take it away. */
import { h } from "./dom";
import { type Word, isWord, t } from "./i18n";

export class Ribbon {
  private element: HTMLElement | null = null;

  /** Call often (each tick): the ribbon stands first in `frame` while the realm is not live. */
  ensure(frame: HTMLElement, realm: string): void {
    if (realm === "live") {
      this.element?.remove();
      this.element = null;
      return;
    }
    if (this.element?.isConnected && this.element.dataset["realm"] === realm && !this.element.hidden && !this.element.getAttribute("style")) return;
    this.element?.remove();
    const word = `ribbon.${realm}`;
    const phrase = isWord(word) ? t(word as Word) : realm.toUpperCase();
    this.element = h(
      "div",
      { class: "ribbon", "data-tile": "ribbon", "data-realm": realm, role: "note" },
      h("span", {}, phrase),
      h("span", { class: "ribbon-echo", "aria-hidden": "true" }, phrase),
      h("span", { class: "ribbon-echo", "aria-hidden": "true" }, phrase),
    );
    frame.prepend(this.element);
  }
}
