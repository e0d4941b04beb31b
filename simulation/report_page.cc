#include "simulation/report_page.h"

namespace dure::simulation {

const char kChartStyle[] = R"css(
:root { --ground: #fff; --raised: #f6f7f8; --text: #1b1f24;
  --faint: #5c6570; --rule: #d8dde2; --quiet: #b4bcc4;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b8578f; --c4: #c98a00; --c5: #3a9fd8;
  --c6: #444b53; }
.plot text { font: 12px system-ui, sans-serif; fill: var(--faint);
  font-variant-numeric: tabular-nums; }
.plot .label { fill: var(--text); }
.tx { text-anchor: middle; } .ty { text-anchor: end; dominant-baseline: central; }
.grid { stroke: var(--rule); stroke-width: .6; }
.axis, .tick { stroke: var(--faint); fill: none; stroke-width: .9; }
.mark { stroke: var(--faint); stroke-dasharray: 2 4; stroke-width: 1.2; }
.cursor { stroke: var(--faint); stroke-width: .8; }
.line { fill: none; stroke-width: 1.9; stroke-linejoin: round; stroke-linecap: round; }
circle.line { fill: currentColor; stroke: none; }
.band { stroke: none; fill-opacity: .17; }
.line.quiet { stroke: var(--quiet); stroke-width: .9; stroke-opacity: .5; } circle.quiet { fill: var(--quiet); }
.c0 { stroke: var(--c0); color: var(--c0); } .c1 { stroke: var(--c1); color: var(--c1); }
.c2 { stroke: var(--c2); color: var(--c2); } .c3 { stroke: var(--c3); color: var(--c3); }
.c4 { stroke: var(--c4); color: var(--c4); } .c5 { stroke: var(--c5); color: var(--c5); }
.c6 { stroke: var(--c6); color: var(--c6); }
.band { fill: currentColor; stroke: none; }
.d1 { stroke-dasharray: 7 4; } .d2 { stroke-dasharray: 1.5 4; }
)css";

const char kSvgStyle[] = R"css(
.ground { fill: var(--ground); } .plot .title { font-weight: 600; font-size: 13px; fill: var(--text); }
)css";

const char kReportStyle[] = R"css(
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171a; --raised: #1d2125; --text: #e6e9ec; --faint: #9aa4ae;
    --rule: #353c43; --quiet: #4a535c;
    --c0: #4aa8e0; --c1: #ff8a3d; --c2: #2fc79a; --c3: #e08fc0; --c4: #f0b93a; --c5: #8ad0f5;
    --c6: #d3d8dd; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1320px; padding: 1.25rem 1rem 3rem; background: var(--ground);
  color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .15rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
p { margin: .3rem 0; } .faint { color: var(--faint); }
ul.notes { margin: .8rem 0; padding: .6rem 1rem .6rem 2rem; background: var(--raised);
  border-left: 3px solid var(--c4); border-radius: 3px; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: .35rem .5rem; margin: 1rem 0 .6rem; }
.legend button { display: inline-flex; align-items: center; gap: .45rem; font: inherit;
  font-size: .87rem; padding: .2rem .6rem; color: inherit; background: var(--raised);
  border: 1px solid var(--rule); border-radius: 4px; cursor: pointer; text-align: left;
  overflow-wrap: anywhere; }
.legend button[aria-pressed=false] { opacity: .45; text-decoration: line-through; }
.legend svg, .tip svg, td svg { width: 26px; height: 8px; flex: none; }
.charts { display: grid; gap: 1.1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 370px), 1fr)); }
.charts figure { margin: 0; min-width: 0; max-width: 640px; }
figcaption { font-weight: 600; font-size: .95rem; margin: 0 0 .2rem; }
.plot { position: relative; }
.plot > svg { display: block; width: 100%; height: auto; touch-action: pan-y; }
.off { display: none; }
.tip { position: absolute; top: 6px; z-index: 2; pointer-events: none;
  padding: .35rem .55rem; font-size: .8rem; background: var(--ground); color: var(--text);
  border: 1px solid var(--rule); border-radius: 4px; box-shadow: 0 2px 8px #0003; }
.tip b { font-weight: 600; } .tip div { display: flex; gap: .45rem; align-items: center; }
.tip span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .89rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }
th { font-weight: 600; }
thead th { border-bottom-width: 2px; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
td:first-child { min-width: 14rem; max-width: 24rem; white-space: normal;
  overflow-wrap: break-word; }
.words td.long { min-width: 11rem; max-width: 30rem; white-space: normal;
  overflow-wrap: break-word; }
td svg { margin-right: .5rem; vertical-align: 1px; }
td small { color: var(--faint); font-size: .82em; }
thead th[data-sorts] { cursor: pointer; }
tbody tr:hover { background: var(--raised); }
details { margin: .9rem 0; } summary { cursor: pointer; font-weight: 600; }
summary + * { margin-top: .5rem; }
@media (max-width: 600px) { body { padding: .9rem .7rem 2rem; font-size: 14px; }
  th, td { padding: .3rem .5rem; } td:first-child { min-width: 12rem; } .plot text { font-size: 13.5px; } }
@media print { .legend button { border: none; } details > * { display: block; } }
)css";

const char kReportScript[] = R"js(
'use strict';
(() => {
const names = JSON.parse(document.getElementById('names').textContent);
const hidden = new Set();
const text = v => Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(3)
  : String(+v.toPrecision(4));
for (const button of document.querySelectorAll('.legend button')) {
  button.addEventListener('click', () => {
    const series = button.dataset.i, off = !hidden.delete(series);
    if (off) hidden.add(series);
    button.setAttribute('aria-pressed', String(!off));
    document.querySelectorAll(`.plot [data-s="${series}"]`)
      .forEach(line => line.classList.toggle('off', off));
  });
}
const nearest = (points, x) => {
  let low = 0, high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle + 1; else high = middle;
  }
  return low > 0 && x - points[low - 1][0] < points[low][0] - x ? points[low - 1] : points[low];
};
for (const figure of document.querySelectorAll('figure.chart')) {
  const data = JSON.parse(figure.querySelector('script').textContent);
  const svg = figure.querySelector('.plot > svg'), tip = figure.querySelector('.tip');
  const cursor = figure.querySelector('.cursor');
  const [left, top, right, bottom, width] = data.area;
  const away = () => { tip.hidden = true; cursor.setAttribute('d', ''); };
  svg.addEventListener('pointerleave', away);
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * width;
    const lines = data.lines.filter(line => !hidden.has(String(line.i)));
    if (at < left - 8 || at > right + 8 || lines.length === 0) return away();
    const x = data.x[0] + (at - left) / (right - left) * (data.x[1] - data.x[0]);
    const points = lines.map(line => [line.i, nearest(line.p, x)]);
    const here = points.reduce((a, b) => Math.abs(b[1][0] - x) < Math.abs(a[1][0] - x) ? b : a);
    const reach = (data.x[1] - data.x[0]) / 20;
    const shown = points.filter(([, p]) => Math.abs(p[0] - here[1][0]) <= reach)
      .sort((a, b) => b[1][1] - a[1][1]);
    tip.replaceChildren();
    const head = document.createElement('b');
    const seeds = new Set(shown.map(([, p]) => p[4]));
    head.textContent = figure.dataset.x + ' ' + text(here[1][0])
      + (seeds.size === 1 && here[1][4] > 1 ? `, ${here[1][4]} seeds` : '');
    tip.append(head);
    for (const [i, p] of shown.slice(0, 12)) {
      const row = document.createElement('div'), label = document.createElement('span');
      row.append(document.querySelector(`.legend button[data-i="${i}"] svg`)?.cloneNode(true) || '');
      label.textContent = text(p[1]) + (names.length > 1 ? ' ' + names[i]
        : p[3] > p[2] ? ` (${text(p[2])}\u2013${text(p[3])})` : '');
      row.append(label);
      tip.append(row);
    }
    if (shown.length > 12) tip.append(`and ${shown.length - 12} more`);
    const place = left + (here[1][0] - data.x[0]) / (data.x[1] - data.x[0]) * (right - left);
    cursor.setAttribute('d', `M${place} ${top}V${bottom}`);
    const share = place / width;
    tip.style.maxWidth = `${Math.max(share, 1 - share) * 100 - 3}%`;
    tip.style.left = share < .5 ? `${share * 100 + 2}%` : '';
    tip.style.right = share < .5 ? '' : `${(1 - share) * 100 + 2}%`;
    tip.hidden = false;
  });
}
for (const head of document.querySelectorAll('th[data-sorts]')) {
  head.addEventListener('click', () => {
    const body = head.closest('table').tBodies[0], column = head.cellIndex;
    const up = head.dataset.sorts !== 'up';
    head.dataset.sorts = up ? 'up' : 'down';
    const value = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === '' || y === '') return (x === '') - (y === '');
      const by = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? by : -by;
    };
    body.append(...[...body.rows].sort(order));
  });
}
})();
)js";

}  // namespace dure::simulation
