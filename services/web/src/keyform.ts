/** Asks for a key when the tab has none, or when the one it has is refused. */
import { h } from "./dom";
import { type Word, t } from "./i18n";

export function keyForm(problem: Word | null, done: (key: string) => void): HTMLElement {
  const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const form = h(
    "form",
    {
      class: "key-form",
      "data-tile": "key",
      submit: (event) => {
        event.preventDefault();
        if (input.value.trim()) done(input.value.trim());
      },
    },
    h("label", { for: "key" }, t("key.title")),
    input,
    h("p", { class: problem ? "key-problem" : "key-hint", role: problem ? "alert" : "note" }, t(problem ?? "key.hint")),
    h("button", { type: "submit" }, t("key.enter")),
  );
  return h("main", { class: "gate" }, h("div", { class: "brand" }, h("img", { src: "/icon.svg", alt: "" }), h("strong", {}, t("app.name")), h("h1", {}, t("app.title"))), form);
}
