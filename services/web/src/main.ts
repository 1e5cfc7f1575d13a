/** The wall: reads its place from the address (#realm=…&division=…), draws the frame, keeps a session for that place. */
import { type Refused, fetchAccess, fetchDivisions, fetchTypes, forgetKey, storeKey, storedKey } from "./api";
import { type Access, isWithin } from "./contract";
import { h } from "./dom";
import { Header } from "./header";
import { type Language, currentLanguage, setLanguage, t } from "./i18n";
import { keyForm } from "./keyform";
import { Places } from "./places";
import { Ribbon } from "./ribbon";
import { Session } from "./session";
import "./style.css";
import { TILES } from "./tiles";
import type { Tile, View } from "./tiles/tile";
import { TrustBand } from "./trust";

const TICK_MS = 200; // ages, clock, staleness
const REDRAW_MS = 50; // the picture is drawn at most this often; a lone frame at once
const BUSY_FRAMES = 10; // more than so many changes since the last drawing: nobody reads that fast,
const BUSY_REDRAW_MS = 250; // so spare the wall's computer

const root = document.getElementById("screen")!;

class Wall {
  private realm = "";
  private division = "";
  private session: Session | null = null;
  private frame!: HTMLElement;
  private header!: Header;
  private trust!: TrustBand;
  private tiles: Tile[] = [];
  private readonly ribbon = new Ribbon();
  private drawnAt = 0;
  private waiting = 0;
  private changes = 0; // since the last drawing
  private drawnChanges = 0; // that the last drawing showed

  constructor(
    private readonly access: Access,
    private readonly places: Places,
    private readonly typeNames: Awaited<ReturnType<typeof fetchTypes>>,
    private readonly refused: (error: Refused) => void,
  ) {
    window.addEventListener("popstate", () => this.follow());
    window.setInterval(() => this.draw(), TICK_MS);
    this.build();
    this.follow();
  }

  /** Makes the page anew (at the start, and when the language changes). */
  private build(): void {
    this.header = new Header({
      go: (division) => this.move(this.realm, division),
      enter: (realm) => this.move(realm, this.division),
      speak: (language: Language) => {
        setLanguage(language);
        this.build();
        this.draw();
      },
    });
    this.trust = new TrustBand();
    this.tiles = TILES.map((make) => make());
    const region = (name: Tile["region"]): HTMLElement =>
      h("div", { class: `region ${name}` }, ...this.tiles.filter((tile) => tile.region === name).map((tile) => tile.element));
    const main = h("main", { class: "regions" }, region("left"), region("centre"), region("right"));
    this.frame = h("div", { class: "frame" }, this.header.element, this.trust.element, main, h("footer", { class: "foot" }, t("app.note")));
    root.replaceChildren(this.frame);
    document.title = `${t("app.name")} · ${t("app.title")}`;
  }

  private move(realm: string, division: string): void {
    if (realm === this.realm && division === this.division) return;
    history.pushState(null, "", `#${new URLSearchParams({ realm, division })}`);
    this.follow();
  }

  /** Shows the place that the address names, or the nearest the key may read. */
  private follow(): void {
    const asked = address();
    const { realms, principal } = this.access;
    const realm = realms.includes(asked.get("realm") ?? "") ? asked.get("realm")! : (realms[0] ?? "live");
    const wish = asked.get("division") ?? "";
    const division = isWithin(wish, principal.division) && (this.places.has(wish) || wish === principal.division) ? wish : principal.division;
    if (realm === this.realm && division === this.division) return;
    this.realm = realm;
    this.division = division;
    this.session?.stop();
    this.session = new Session(realm, division, () => this.soon(), this.refused);
    this.draw();
  }

  close(): void {
    this.session?.stop();
  }

  private soon(): void {
    this.changes += 1;
    if (this.waiting) return;
    const pause = this.drawnChanges > BUSY_FRAMES ? BUSY_REDRAW_MS : REDRAW_MS;
    const wait = Math.max(0, pause - (performance.now() - this.drawnAt));
    this.waiting = window.setTimeout(() => requestAnimationFrame(() => this.draw()), wait);
  }

  private draw(): void {
    clearTimeout(this.waiting);
    this.waiting = 0;
    const session = this.session;
    if (!session || !this.frame.isConnected) return;
    this.drawnAt = performance.now();
    this.drawnChanges = this.changes;
    this.changes = 0;
    const wall = session.wall();
    const top = this.access.principal.division;
    const view: View = {
      model: session.model,
      realm: this.realm,
      division: this.division,
      top,
      wall,
      busy: this.drawnChanges > BUSY_FRAMES,
      places: this.places,
      typeName: (code, fallback) => {
        const known = this.typeNames.get(code);
        return known ? (currentLanguage() === "en" ? known.name_en : known.name) : fallback;
      },
      go: (division) => this.move(this.realm, division),
    };
    this.ribbon.ensure(this.frame, this.realm);
    this.frame.dataset["realm"] = this.realm;
    this.frame.dataset["link"] = session.link();
    this.header.update(this.places, this.access.realms, this.realm, this.division, top, wall);
    this.trust.update(session);
    for (const tile of this.tiles) tile.update(view);
  }
}

/** The address' parameters: the fragment's, then the query's. */
function address(): URLSearchParams {
  return new URLSearchParams([...new URLSearchParams(location.hash.slice(1)), ...new URLSearchParams(location.search)]);
}

/** Takes a key out of the fragment, so that it does not stay in the address or the history. */
function takeKey(): void {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const key = fragment.get("key");
  if (!key) return;
  storeKey(key);
  fragment.delete("key");
  history.replaceState(null, "", `${location.pathname}${location.search}#${fragment}`);
}

let wall: Wall | null = null;

function ask(error: Refused | null): void {
  wall?.close();
  wall = null;
  if (error) forgetKey();
  const problem = error ? (error.status === 401 ? "key.wrong" : "key.forbidden") : null;
  root.replaceChildren(keyForm(problem, (key) => {
    storeKey(key);
    void begin();
  }));
}

async function begin(): Promise<void> {
  if (!storedKey()) return ask(null);
  try {
    const [access, divisions, types] = await Promise.all([fetchAccess(), fetchDivisions(), fetchTypes()]);
    wall = new Wall(access, new Places(divisions), types, ask);
  } catch (error) {
    const refused = error as Refused;
    if (refused.status >= 400 && refused.status < 500) return ask(refused);
    window.setTimeout(() => void begin(), 2_000);
  }
}

setLanguage(currentLanguage());
takeKey();
void begin();
