/** Opened and closed over the last 24 hours. */
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { type ECharts, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

import { h, text } from "../dom";
import { minuteTime, number, t } from "../i18n";
import { type Tile, type View, shell } from "./tile";

use([LineChart, BarChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

const REDRAW_MS = 1_000; // a chart need not follow every frame

export function trend(): Tile {
  const canvas = h("div", { class: "chart", "aria-hidden": "true" });
  const sum = h("p", { class: "chart-sum", "data-value": "" });
  const element = shell("trend", "tile.trend", canvas);
  element.querySelector("h2")!.append(sum);
  let chart: ECharts | null = null;
  let drawn = "";
  let drawnAt = 0;
  let fontSize = 0;
  new ResizeObserver(() => {
    chart?.resize();
    drawn = "";
  }).observe(canvas);

  return {
    id: "trend",
    region: "right",
    element,
    update({ model, wall, division }: View) {
      if (!model || !canvas.clientWidth) return;
      const bins = model.lastDay(wall);
      const opened = bins.reduce((total, [, bin]) => total + bin.opened, 0);
      const closed = bins.reduce((total, [, bin]) => total + bin.closed, 0);
      text(sum, t("trend.sum", { opened: number(opened), closed: number(closed) }));
      sum.dataset["value"] = `${opened}/${closed}`;
      const state = `${division}/${bins[0]?.[0]}/${opened}/${closed}`;
      if (state === drawn || (drawn && performance.now() - drawnAt < REDRAW_MS)) return;
      drawn = state;
      drawnAt = performance.now();
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      if (!chart || rem !== fontSize) {
        chart?.dispose();
        chart = init(canvas, null, { renderer: "canvas" });
        fontSize = rem;
        chart.setOption(style(rem));
      }
      chart.setOption({
        xAxis: { data: bins.map(([start]) => minuteTime(start)) },
        series: [{ data: bins.map(([, bin]) => bin.opened) }, { data: bins.map(([, bin]) => bin.closed) }],
      });
    },
  };
}

/** Shape as well as shade tells the two apart: bars are opened, the line is closed. */
function style(rem: number): Parameters<ECharts["setOption"]>[0] {
  const label = { color: "#9fb4bb", fontSize: 0.85 * rem };
  return {
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 0.3 * rem, right: 0.6 * rem, top: 2.4 * rem, bottom: 0, containLabel: true },
    legend: { top: 0, right: 0, itemWidth: 1.2 * rem, itemHeight: 0.7 * rem, textStyle: { color: "#dbe7ea", fontSize: 0.9 * rem } },
    tooltip: { trigger: "axis", renderMode: "richText", confine: true, backgroundColor: "#0b1418", borderColor: "#35525a", textStyle: { color: "#e9f2f4", fontSize: 0.9 * rem } },
    xAxis: { type: "category", data: [], axisLabel: { ...label, interval: "auto" }, axisLine: { lineStyle: { color: "#35525a" } }, axisTick: { show: false } },
    yAxis: { type: "value", minInterval: 1, axisLabel: label, splitLine: { lineStyle: { color: "#1b2a30" } } },
    series: [
      { name: t("trend.opened"), type: "bar", data: [], itemStyle: { color: "#2b9c97" }, barCategoryGap: "30%" },
      { name: t("trend.closed"), type: "line", data: [], symbol: "none", lineStyle: { color: "#e6eef0", width: 0.13 * rem }, itemStyle: { color: "#e6eef0" } },
    ],
  };
}
