/** Small helpers for building the page without markup strings (the content security policy forbids inline anything). */
type Attributes = Record<string, string | number | boolean | ((event: Event) => void)>;
type Child = Node | string;

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Sets text only when it changed, so that an idle screen does no layout. */
export function text(element: Element, value: string): void {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A node per key, in order; kept nodes are moved, not made anew. */
export function keyed<T>(
  parent: Element,
  items: readonly T[],
  key: (item: T) => string,
  make: (item: T) => HTMLElement,
  update: (element: HTMLElement, item: T) => void,
): void {
  const old = new Map([...parent.children].map((element) => [(element as HTMLElement).dataset["key"] ?? "", element as HTMLElement]));
  items.forEach((item, index) => {
    const name = key(item);
    const element = old.get(name) ?? make(item);
    element.dataset["key"] = name;
    old.delete(name);
    update(element, item);
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  for (const gone of old.values()) gone.remove();
}
