import { utf8 } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import { markup, safe, type Html } from './html.ts';
import { STYLE } from './style.ts';

/** The style of all pages as a source of a Content-Security-Policy. */
export const STYLE_SOURCE: string = `'sha256-${btoa(String.fromCharCode(...sha256(utf8(STYLE))))}'`;

/**
 * The policy of a page in a file: nothing is loaded, and only our style applies. A page cannot forbid by itself that it is framed.
 */
const FILE_POLICY = `default-src 'none'; style-src ${STYLE_SOURCE}; img-src data:; base-uri 'none'; form-action 'none'`;

/** By which a page is known again, before it is replaced. */
export const GENERATOR = '<meta name="generator" content="strongroom report">';

/** Parts of a whole page. */
export interface DocumentParts {
  readonly title: string;
  readonly header: Html;
  readonly main: Html;
  readonly footer?: Html;
  /** In a page that a server sends, its header has the policy. */
  readonly policy?: 'header';
}

/** A whole page: it has no script, and loads nothing. */
export function document({ title, header, main, footer, policy }: DocumentParts): string {
  const meta =
    policy === 'header'
      ? undefined
      : markup`<meta http-equiv="Content-Security-Policy" content="${safe(FILE_POLICY)}">
`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
${safe(GENERATOR)}
${meta}<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${safe(STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>${header}</header>
<main id="main" tabindex="-1">${main}</main>
<footer>${footer}</footer>
</body>
</html>
`.text;
}
