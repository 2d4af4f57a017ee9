import type { ComplianceReport } from '../../report/index.ts';
import { table } from '../../report/page/charts.ts';
import { document } from '../../report/page/document.ts';
import { bytes, count, day, number, time } from '../../report/page/format.ts';
import { markup, type Html } from '../../report/page/html.ts';
import { footerOf, headerOf, mainOf, navigation, titleOf } from '../../report/page/render.ts';
import type { SessionUsage } from '../../history/usage.ts';
import type { SessionSummary } from '../../session-contract.ts';
import { turnOf } from './items.ts';
import { MOST_ITEMS, MOST_LISTED, type OpenConversation, type SealedConversation } from './reading.ts';

/** What every page needs. */
export interface Frame {
  /** The path of all pages. */
  readonly base: string;
  readonly formToken: string;
  /** Who reads. */
  readonly actor: string | undefined;
}

function page({ base, actor }: Frame, title: string, header: Html, main: Html, footer?: Html): string {
  return document({
    title: `${title} · strongroom`,
    policy: 'header',
    header: markup`<nav aria-label="Pages"><ul><li><a href="${base}">Conversations</a></li><li><a href="${base}report">Report</a></li></ul></nav>${header}`,
    main,
    footer: markup`${footer}<p class="note">${actor !== undefined && `You are ${actor} in the audit log. `}This viewer changes nothing. It ends when strongroom serve ends.</p>`,
  });
}

/* The list */

export function listPage(
  frame: Frame,
  { sessions, hasMore }: { readonly sessions: readonly SessionSummary[]; readonly hasMore: boolean },
  subject: string | undefined,
): string {
  const sorted = [...sessions].toSorted(
    (one, other) =>
      compare(one.subject ?? '\u{10FFFF}', other.subject ?? '\u{10FFFF}') || other.lastAt - one.lastAt,
  );
  const rows = sorted.map(({ id, subject: of, items, bytes: size, firstAt, lastAt }) => [
    markup`<a class="id" href="${pathOf(frame, id)}">${id}</a>`,
    of === undefined ? undefined : markup`<span class="id">${of}</span>`,
    number(items),
    bytes(size),
    day(firstAt),
    day(lastAt),
  ]);
  return page(
    frame,
    'Conversations',
    markup`<p class="kicker">Viewer</p><h1>Conversations</h1><p class="soft">Ids, subjects and sizes only. A conversation is sealed until you open it with a reason.</p>`,
    markup`<section aria-label="Conversations">
      <form class="line" method="get" action="${frame.base}">
        <div><label for="subject">Subject, exactly</label><input id="subject" name="subject" value="${subject}" autocomplete="off"></div>
        <button>Find</button>
      </form>
      ${
        rows.length === 0
          ? markup`<p class="empty">${subject === undefined ? 'The store has no conversations.' : 'This subject has no conversations.'}</p>`
          : table(
              `${hasMore ? `The first ${number(MOST_LISTED)} conversations` : count(rows.length, 'conversation')}${subject === undefined ? ', by subject' : ' of this subject'}`,
              [
                { name: 'Conversation' },
                { name: 'Subject' },
                { name: 'Items', isNumber: true },
                { name: 'Size', isNumber: true },
                { name: 'First item' },
                { name: 'Last item' },
              ],
              rows,
            )
      }
      ${hasMore && markup`<p class="note">There are more. Give a subject to find them.</p>`}
    </section>`,
  );
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function pathOf({ base }: Frame, id: string, branch?: string): string {
  return `${base}conversation?${new URLSearchParams({ id, ...(branch !== undefined && { branch }) }).toString()}`;
}

/* A conversation */

export function conversationPage(
  frame: Frame,
  sealed: SealedConversation,
  state:
    | { readonly opened: OpenConversation; readonly branch: string | undefined; readonly reason: string }
    | { readonly closed: string | undefined; readonly problem?: string },
): string {
  const { id } = sealed;
  const isOpen = 'opened' in state;
  const header = markup`<p class="kicker">${isOpen ? 'Opened conversation' : 'Sealed conversation'}</p><h1 class="id">${id}</h1>`;
  const main = isOpen
    ? markup`${openedParts(frame, sealed, state.opened, state.branch, state.reason)}${facts(sealed)}`
    : markup`${facts(sealed)}${openingForm(frame, id, state.closed, state.problem)}`;
  return page(frame, id, header, main);
}

function facts({
  records,
  unsealed,
  firstAt,
  lastAt,
  kids,
  branches,
  others,
  holds,
}: SealedConversation): Html {
  const open = holds.filter(({ releasedAt }) => releasedAt === undefined);
  const rest = Object.entries(others).map(([kind, found]) => `${kind} (${number(found)})`);
  const figures: readonly (readonly [string, string, string | undefined])[] = [
    ['Records', number(records), unsealed === 0 ? 'all sealed' : `${number(unsealed)} not sealed`],
    [
      'Written',
      lastAt === undefined ? '–' : day(lastAt),
      firstAt === undefined ? undefined : `since ${day(firstAt)}`,
    ],
    ['Branches', number(branches.length), branches.map(({ name }) => name).join(', ')],
    ['Open holds', number(open.length), open.map((hold) => hold.id).join(', ')],
  ];
  return markup`<section aria-labelledby="facts"><h2 id="facts">Without opening it</h2>
    <dl class="figures">${figures.map(
      ([name, value, more]) =>
        markup`<div><dt>${name}</dt><dd${name === 'Written' && markup` class="date"`}>${value}<small>${more}</small></dd></div>`,
    )}</dl>
    <p class="note">${kids.length > 0 && markup`Keys: <span class="id">${kids.join(', ')}</span>. `}${
      rest.length > 0 && `Beside it: ${rest.join(', ')}.`
    }</p></section>`;
}

function openingForm(
  { base, formToken, actor }: Frame,
  id: string,
  closed: string | undefined,
  problem: string | undefined,
): Html {
  if (closed !== undefined)
    return markup`<section aria-label="Open"><p class="empty">${closed}</p></section>`;
  return markup`<section aria-labelledby="open"><h2 id="open">Open it</h2>
    <form class="card" method="post" action="${base}open">
      <input type="hidden" name="token" value="${formToken}"><input type="hidden" name="id" value="${id}">
      <label for="reason">Why do you need to read it?</label>
      <input id="reason" name="reason" required maxlength="500" autocomplete="off" aria-describedby="reason-help${problem !== undefined && ' reason-problem'}">
      ${problem !== undefined && markup`<p class="word problem" id="reason-problem">${problem}</p>`}
      <p class="note" id="reason-help">The audit log gets this reason, your name${actor !== undefined && ` (${actor})`} and the time, at each page that you read. It stays open for 15 minutes.</p>
      <button>Open the conversation</button>
    </form></section>`;
}

function openedParts(
  frame: Frame,
  { id, branches }: SealedConversation,
  { turns, hasMore, usage }: OpenConversation,
  branch: string | undefined,
  reason: string,
): Html {
  const places = [{ name: undefined, current: !branches.some((each) => each.current) }, ...branches];
  return markup`<section aria-labelledby="turns"><h2 id="turns">${count(turns.filter((turn) => turn.number > 0).length, 'turn')}${branch !== undefined && ` of the branch ${branch}`}</h2>
    <p class="soft">Opened with the reason “${reason}”.</p>
    ${
      branches.length > 0 &&
      markup`<nav aria-label="Branches"><ul>${places.map(({ name, current }) => {
        const text = `${name ?? 'Main'}${current ? ' (current)' : ''}`;
        return name === branch
          ? markup`<li><strong aria-current="page">${text}</strong></li>`
          : markup`<li><a href="${pathOf(frame, id, name)}">${text}</a></li>`;
      })}</ul></nav>`
    }
    ${hasMore && markup`<p class="note">Only the last ${number(MOST_ITEMS)} items are shown; turns are numbered from there.</p>`}
    ${turns.length === 0 ? markup`<p class="empty">It has no visible items: they expired, or their keys were destroyed.</p>` : turns.map(turnOf)}
    </section>
    ${usageOf(usage)}
    <section aria-label="Close"><form method="post" action="${frame.base}open">
      <input type="hidden" name="token" value="${frame.formToken}"><input type="hidden" name="id" value="${id}"><input type="hidden" name="close" value="1">
      <button>Seal it again</button></form></section>`;
}

function usageOf(usage: SessionUsage | undefined): Html | undefined {
  if (usage === undefined) return undefined;
  const rows = Object.entries(usage.models).map(([model, sum]) => [
    model === '' ? 'unknown model' : model,
    number(sum.requests),
    number(sum.inputTokens),
    number(sum.outputTokens),
    number(sum.totalTokens),
  ]);
  return markup`<section aria-labelledby="usage"><h2 id="usage">Usage</h2>${table(
    `${count(usage.runs, 'run')}, ${count(usage.totalTokens, 'token')}`,
    [
      { name: 'Model' },
      ...['Requests', 'Input tokens', 'Output tokens', 'Tokens'].map((name) => ({ name, isNumber: true })),
    ],
    rows,
  )}</section>`;
}

/* The report, and messages */

export function reportPage(frame: Frame, report: ComplianceReport): string {
  return page(
    frame,
    titleOf(report),
    markup`${headerOf(report)}${navigation()}`,
    mainOf(report),
    markup`${footerOf()}<p class="note">Made at ${time(report.at)}, by the clock of the store.</p>`,
  );
}

/** A page for somebody who may not be a person of this viewer: it says nothing about the store. */
export function messagePage(title: string, text: string): string {
  return document({
    title: `${title} · strongroom`,
    policy: 'header',
    header: markup`<p class="kicker">strongroom</p><h1>${title}</h1>`,
    main: markup`<section aria-label="Message"><p>${text}</p></section>`,
  });
}
