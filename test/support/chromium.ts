/** Debian's Chromium, where it is installed, and what a page must keep in it. */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, expect } from 'vitest';

const EXECUTABLE = process.env['STRONGROOM_CHROMIUM'] ?? '/usr/bin/chromium';

export const hasChromium: boolean = existsSync(EXECUTABLE);
if (!hasChromium) {
  console.warn(
    `Chromium is not installed (${EXECUTABLE}), so its pages are not tested here: apt-get install chromium, or set STRONGROOM_CHROMIUM.`,
  );
}

/** One browser for a test file, with a profile of its own. */
export function useBrowser(): () => Promise<Browser> {
  let browser: Promise<Browser> | undefined;
  afterAll(async () => (await browser)?.close());
  return async () =>
    (browser ??= chromium.launch({
      executablePath: EXECUTABLE,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    }));
}

/** A phone and a desk, by day and by night. */
export const VIEWS: readonly { readonly width: number; readonly scheme: 'light' | 'dark' }[] = [
  { width: 1280, scheme: 'light' },
  { width: 1280, scheme: 'dark' },
  { width: 390, scheme: 'light' },
  { width: 390, scheme: 'dark' },
];

/** Everything that the page printed, asked for elsewhere, or failed with. */
export function watched(page: Page): string[] {
  const said: string[] = [];
  page.on('console', (message) => said.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  page.on('requestfailed', (request) => said.push(`failed: ${request.url()}`));
  return said;
}

/** What a browser measures of a page; a string, because it runs there. */
const MEASURE = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = rgba(getComputedStyle(each).backgroundColor);
      if (color[3] === 255) return color;
      if (color[3] !== 0) throw new Error('a background that is half transparent');
    }
    return rgba(matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#ffffff');
  };
  // What a person can unfold counts, too.
  for (const each of document.querySelectorAll('details')) each.open = true;
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.textContent.trim() === '' || element.closest('title') !== null) continue;
    const [one, other] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    texts.push({ text: node.textContent.trim().slice(0, 60), contrast });
  }
  const charts = [...document.querySelectorAll('.chart')].map((chart) => {
    const shapes = [...chart.querySelectorAll('rect:not(.track)')].map((shape) => shape.getBoundingClientRect());
    return {
      name: chart.querySelector('caption, figcaption').textContent,
      shapes: shapes.filter(({ width, height }) => width >= 0.5 && height >= 0.5).length,
      bars: [...chart.querySelectorAll('.bar svg, .columns svg')].filter((svg) => svg.getBoundingClientRect().width < 40).length,
    };
  });
  const labels = [...document.querySelectorAll('input:not([type=hidden])')].filter((input) => input.labels.length === 0).length;
  return {
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    texts, charts, labels,
    headings: [...document.querySelectorAll('h1, h2, h3')].map(({ tagName }) => Number(tagName[1])),
    landmarks: ['header', 'main', 'footer', 'nav'].filter((name) => document.querySelector('body > ' + name + ', body > header > ' + name) === null),
    scripts: document.scripts.length,
  };
})()`;

interface Measures {
  readonly overflow: number;
  readonly texts: readonly { readonly text: string; readonly contrast: number }[];
  readonly charts: readonly { readonly name: string; readonly shapes: number; readonly bars: number }[];
  readonly labels: number;
  readonly headings: readonly number[];
  readonly landmarks: readonly string[];
  readonly scripts: number;
}

/** Expects of a page what every page of ours keeps. Returns the names of its charts. */
export async function expectGoodPage(page: Page, said: readonly string[]): Promise<readonly string[]> {
  const { overflow, texts, charts, labels, headings, landmarks, scripts } = (await page.evaluate(
    MEASURE,
  )) as Measures;
  expect(said).toEqual([]);
  expect(overflow).toBeLessThanOrEqual(0);
  expect(texts.length).toBeGreaterThan(5);
  expect(texts.filter(({ contrast }) => !(contrast >= 4.5))).toEqual([]);
  expect(charts.filter(({ shapes, bars }) => shapes === 0 || bars > 0)).toEqual([]);
  expect(labels).toBe(0);
  expect(scripts).toBe(0);
  expect(landmarks).toEqual([]);
  // One first heading, and none of a level whose parent is not there.
  expect(headings.filter((level) => level === 1)).toHaveLength(1);
  expect(headings.filter((level, index) => index > 0 && level > (headings[index - 1] ?? 0) + 1)).toEqual([]);
  return charts.map(({ name }) => name);
}
