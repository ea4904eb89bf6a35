"""Measures taken inside a page: contrast of every text, names of fields, order of headings."""

from __future__ import annotations

from itertools import pairwise

# Texts with less contrast than WCAG 2.2 AA asks for: 4.5, or 3 for large ones.
LOW_CONTRAST = """() => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const ground = (el) => { const layers = []; for (let e = el; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]); };
  const found = [];
  for (const details of document.querySelectorAll("details")) details.open = true;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), el = walker.currentNode.parentElement;
    if (!text || !el.checkVisibility({visibilityProperty: true})) continue;
    const style = getComputedStyle(el), back = ground(el), front = over(parse(style.color), back);
    const [a, b] = [light(front), light(back)], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""

# Form fields that have no label, pictures without a text, links and buttons without a name, ids used twice.
UNNAMED = """() => {
  const found = [];
  for (const el of document.querySelectorAll("input, select, textarea"))
    if (el.type !== "hidden" && !el.labels.length && !el.ariaLabel) found.push(`no label: ${el.name}`);
  for (const el of document.querySelectorAll("img")) if (!el.hasAttribute("alt")) found.push(`no alt: ${el.src}`);
  for (const el of document.querySelectorAll("a, button, summary")) if (!el.textContent.trim()) found.push(`no name: ${el.outerHTML}`);
  for (const el of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const id of (el.getAttribute("aria-labelledby") + " " + el.getAttribute("aria-describedby")).split(" "))
      if (id !== "null" && !document.getElementById(id)) found.push(`no such id: ${id}`);
  const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) found.push(`twice: ${id}`);
  return found;
}"""

HEADINGS = '() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((el) => Number(el.tagName[1]))'

# How far the page is wider than the window, and what sticks out of it.
OVERFLOW = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - document.documentElement.clientWidth;
}"""


def in_order(headings: list[int]) -> bool:
    """Whether one h1 comes first and no level is left out on the way down."""
    return headings[:1] == [1] and headings.count(1) == 1 and all(low - high <= 1 for high, low in pairwise(headings))
