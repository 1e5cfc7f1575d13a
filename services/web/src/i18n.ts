/** Words and formats of the two languages. Chinese is first; a key missing in English does not compile. */
import en from "./i18n/en.json";
import zh from "./i18n/zh-CN.json";
import romanised from "./i18n/romanised.json";

export type Language = "zh-CN" | "en";
export type Word = keyof typeof zh;

const words: Record<Language, Record<Word, string>> = { "zh-CN": zh, en };
const stored = localStorage.getItem("liandong.language");
let language: Language = stored === "en" ? "en" : "zh-CN";

export const currentLanguage = (): Language => language;

export function setLanguage(next: Language): void {
  language = next;
  localStorage.setItem("liandong.language", next);
  document.documentElement.lang = next;
}

/** The phrase, with {name} replaced by values. */
export function t(word: Word, values: Record<string, string | number> = {}): string {
  return words[language][word].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

export const isWord = (word: string): word is Word => word in zh;

/** A state's name; the code itself for one this build does not know. */
export const stateName = (state: string): string => (isWord(`state.${state}`) ? t(`state.${state}` as Word) : state);

/** A division's name: down to the county romanised in English, below it in Chinese. */
export const divisionName = (code: string, name: string): string =>
  language === "en" ? ((romanised as Record<string, string>)[code] ?? name) : name;

const whole: Record<Language, Intl.NumberFormat> = { "zh-CN": new Intl.NumberFormat("zh-CN"), en: new Intl.NumberFormat("en") };
export const number = (value: number): string => whole[language].format(value);

/** How much room a figure needs: `normal` up to 999, `long` up to 99,999, `longer` beyond. Styles shrink by it, so that none is cut. */
export const length = (value: number): string => (value < 1_000 ? "normal" : value < 100_000 ? "long" : "longer");

const CHINA = { timeZone: "Asia/Shanghai", hourCycle: "h23" } as const;
const clock = new Intl.DateTimeFormat("zh-CN", { ...CHINA, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("zh-CN", { ...CHINA, hour: "2-digit", minute: "2-digit" });
const isoDay = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Shanghai" });
const longDay: Record<Language, Intl.DateTimeFormat> = {
  "zh-CN": new Intl.DateTimeFormat("zh-CN", { ...CHINA, year: "numeric", month: "long", day: "numeric", weekday: "short" }),
  en: new Intl.DateTimeFormat("en-GB", { ...CHINA, year: "numeric", month: "short", day: "numeric", weekday: "short" }),
};

/** 14:03:27 in Beijing. */
export const clockTime = (ms: number): string => clock.format(ms);
/** 14:03 in Beijing. */
export const minuteTime = (ms: number): string => minute.format(ms);
/** 2026-11-22 in Beijing. */
export const day = (ms: number): string => isoDay.format(ms);
export const dayLong = (ms: number): string => longDay[language].format(ms);

/** 0.4 秒 */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} ${language === "zh-CN" ? "秒" : "s"}`;

/** A span in words: 3 秒, 12 分, 5 时 20 分, 3 天. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const zhCn = language === "zh-CN";
  if (seconds < 60) return zhCn ? `${seconds} 秒` : `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return zhCn ? `${minutes} 分` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return zhCn ? `${hours} 时 ${minutes % 60} 分` : `${hours} h ${minutes % 60} m`;
  return zhCn ? `${Math.floor(hours / 24)} 天` : `${Math.floor(hours / 24)} d`;
}
