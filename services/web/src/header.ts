/** The top line: name, place (breadcrumbs), realms, language, Beijing time. */
import { attribute, h, keyed, text } from "./dom";
import { type Language, type Word, clockTime, currentLanguage, dayLong, isWord, t } from "./i18n";
import type { Places } from "./places";

export interface HeaderActions {
  go(division: string): void;
  enter(realm: string): void;
  speak(language: Language): void;
}

export class Header {
  readonly element: HTMLElement;
  private readonly crumbs = h("ol", {});
  private readonly realms = h("div", { class: "switch realms", role: "group", "aria-label": t("realm.label") });
  private readonly time = h("time", { class: "time" });
  private readonly date = h("span", { class: "date" });

  constructor(private readonly actions: HeaderActions) {
    const languages = (["zh-CN", "en"] as const).map((language) =>
      h("button", { type: "button", lang: language, "aria-pressed": String(currentLanguage() === language), click: () => actions.speak(language) }, language === "en" ? "EN" : "中文"),
    );
    this.element = h(
      "header",
      { class: "top" },
      h("div", { class: "brand" }, h("img", { src: "/icon.svg", alt: "" }), h("strong", {}, t("app.name")), h("h1", {}, t("app.title"))),
      h("nav", { class: "crumbs", "aria-label": t("app.place") }, this.crumbs),
      this.realms,
      h("div", { class: "switch", role: "group", "aria-label": t("app.language") }, ...languages),
      h("div", { class: "clock" }, this.time, h("span", { class: "clock-side" }, this.date, h("span", {}, t("app.beijing")))),
    );
  }

  update(places: Places, realms: readonly string[], realm: string, division: string, top: string, wall: number): void {
    const path = places.path(division);
    const reachable = path.slice(Math.max(0, path.indexOf(top)));
    keyed(
      this.crumbs,
      reachable,
      (code) => code,
      (code) => h("li", {}, h("button", { type: "button", "data-crumb": code, click: () => this.actions.go(code) })),
      (element, code) => {
        const button = element.firstElementChild as HTMLButtonElement;
        text(button, places.name(code));
        button.disabled = code === division;
        if (code === division) attribute(button, "aria-current", "location");
        else button.removeAttribute("aria-current");
      },
    );
    keyed(
      this.realms,
      realms,
      (name) => name,
      (name) => h("button", { type: "button", "data-realm-switch": name, click: () => this.actions.enter(name) }, isWord(`realm.${name}`) ? t(`realm.${name}` as Word) : name),
      (element, name) => attribute(element, "aria-pressed", String(name === realm)),
    );
    text(this.time, clockTime(wall));
    text(this.date, dayLong(wall));
  }
}
