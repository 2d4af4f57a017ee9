import { defined } from '../defined.ts';
import { count, duration } from './page/format.ts';
import type { ComplianceReport, Finding } from './types.ts';

/** What findings are made from. */
export type Facts = Omit<ComplianceReport, 'findings'> & {
  /** The error code of a clock that may not be used for deletions. */
  readonly clock?: string;
  /** Whether the layers of the store seal; absent for a store without layers. */
  readonly seals?: boolean;
  /** Whether the layers have `audit()`. */
  readonly audits?: boolean;
};

/** What a reviewer should look at, problems first. */
export function findingsOf(facts: Facts): Finding[] {
  const order = ['problem', 'notice', 'good'] as const;
  return [
    ...ofClock(facts),
    ...ofRecords(facts),
    ...ofRetention(facts),
    ...ofKeys(facts),
    ...ofHolds(facts),
    ...ofErasures(facts),
    ...ofLog(facts),
  ].toSorted((one, other) => order.indexOf(one.level) - order.indexOf(other.level));
}

function finding(level: Finding['level'], code: string, text: string, step?: string): Finding {
  return defined({ level, code, text, step });
}

function ofClock({ clock }: Facts): Finding[] {
  if (clock === undefined) return [];
  const step = 'Set the clock of this machine; until then the ages below are not reliable.';
  return [finding('problem', 'clock', `The clock is ahead of the database (${clock}).`, step)];
}

function ofRecords({ records, seals, totals }: Facts): Finding[] {
  const { unsealed, sessionsUnsealed } = records;
  if (unsealed > 0) {
    const text = `${count(unsealed, 'record')} in ${count(sessionsUnsealed, 'session')} ${unsealed === 1 ? 'is' : 'are'} not sealed: everyone who reads the database reads ${unsealed === 1 ? 'it' : 'them'}.`;
    const step = 'Add encrypt() to the stack and run migrate().';
    return [finding('problem', 'unsealed', text, seals === true ? 'Run migrate().' : step)];
  }
  if (totals.items === 0) return [finding('notice', 'empty', 'The store holds no items.')];
  return [
    finding(
      'good',
      'sealed',
      `${records.sealed === 1 ? 'The one record that holds content is' : `All ${count(records.sealed, 'record')} that hold content are`} sealed.`,
    ),
  ];
}

function ofRetention({ overdue, itemsByDue, itemsWithoutEnd, trimmable, rule }: Facts): Finding[] {
  const due = itemsByDue.reduce((sum, each) => sum + each.due, 0);
  const found: Finding[] = [];
  if (overdue > 0) {
    const text = `${count(overdue, 'item')} should have been deleted more than a day ago.`;
    found.push(finding('problem', 'overdue', text, 'Run retention(), and schedule it.'));
  } else if (due > 0) {
    const text = `${count(due, 'item')} became due within the last day; the next run of the rule deletes ${due === 1 ? 'it' : 'them'}.`;
    found.push(finding('notice', 'due', text));
  } else {
    found.push(finding('good', 'no-due', 'No item is past the retention rule.'));
  }
  if (trimmable > 0) {
    const text = `${count(trimmable, 'item')} above the last ${rule.keepLast} of a conversation; the next run of the rule deletes ${trimmable === 1 ? 'it' : 'them'}.`;
    found.push(finding('notice', 'trimmable', text));
  }
  if (itemsWithoutEnd > 0) {
    const text = `${count(itemsWithoutEnd, 'item')} ${itemsWithoutEnd === 1 ? 'has' : 'have'} no date of deletion.`;
    const step = 'Give the rule a period (expired, maxAge or maxIdle), or use expire().';
    found.push(finding('notice', 'no-end', text, step));
  }
  return found;
}

function ofKeys({ keys: { keys, missing, destroyed }, at }: Facts): Finding[] {
  const found: Finding[] = [];
  if (missing.records > 0) {
    const text = `${count(missing.records, 'record')} cannot be opened by anyone: the data key is in none of the places that were searched.`;
    const step = 'Check that the stack names the dekStore that was used, and restore it from a backup.';
    found.push(finding('problem', 'key-missing', text, step));
  }
  const closed = keys.filter(({ opens, dataKeys }) => opens === false && dataKeys > 0);
  for (const { kid, dataKeys, state } of closed) {
    const text = `${count(dataKeys, 'data key')} under the key ${JSON.stringify(kid)} cannot be opened with this configuration (${state}).`;
    found.push(
      finding('problem', 'key-closed', text, 'Add the key to the keyring as previous, then rewrap().'),
    );
  }
  const old = keys.filter(({ state, dataKeys }) => dataKeys > 0 && state === 'previous');
  for (const { kid, dataKeys, oldestAt } of old) {
    const age = oldestAt === undefined ? '' : `, the oldest for ${duration(at - oldestAt)}`;
    const text = `${count(dataKeys, 'data key')} still ${dataKeys === 1 ? 'needs' : 'need'} the previous key ${JSON.stringify(kid)}${age}.`;
    found.push(
      finding('notice', 'key-previous', text, 'Run rewrap() before the key leaves the configuration.'),
    );
  }
  if (destroyed.records > 0) {
    const text = `${count(destroyed.records, 'record')} of ${count(destroyed.dataKeys, 'data key')} that were destroyed on purpose ${destroyed.records === 1 ? 'remains' : 'remain'}; nobody can open ${destroyed.records === 1 ? 'it' : 'them'}.`;
    found.push(finding('notice', 'shredded', text));
  }
  if (closed.length === 0 && missing.records === 0 && keys.some(({ opens }) => opens === true)) {
    found.push(finding('good', 'keys-open', 'Every data key can be opened with this configuration.'));
  }
  return found;
}

function ofHolds({ holds, itemsByDue }: Facts): Finding[] {
  const open = holds.filter(({ releasedAt }) => releasedAt === undefined);
  if (open.length === 0) return [];
  const kept = itemsByDue.reduce((sum, each) => sum + each.held, 0);
  const text = `${count(open.length, 'legal hold')} ${open.length === 1 ? 'is' : 'are'} open; ${count(kept, 'item')} past the rule ${kept === 1 ? 'is' : 'are'} kept by holds.`;
  return [finding('notice', 'held', text)];
}

function ofErasures({ erasures, returned, totals }: Facts): Finding[] {
  const found: Finding[] = [];
  if (returned.length > 0) {
    const text = `${count(returned.length, 'session')} ${returned.length === 1 ? 'holds' : 'hold'} records from before ${returned.length === 1 ? 'its' : 'their'} erasure: a backup was restored.`;
    found.push(finding('problem', 'returned', text, 'Erase them again.'));
  }
  const again = erasures.filter(({ foundAgain = 0 }) => foundAgain > 0);
  if (again.length > 0) {
    const text = `Data of ${count(again.length, 'erasure')} with a receipt is in the store again.`;
    found.push(
      finding('problem', 'found-again', text, 'Erase it again; look for the backup that brought it back.'),
    );
  }
  const invalid = erasures.filter(({ signature }) => signature === 'invalid');
  if (invalid.length > 0) {
    const text = `${count(invalid.length, 'receipt')} ${invalid.length === 1 ? 'has' : 'have'} no valid signature.`;
    found.push(finding('problem', 'receipt-invalid', text, 'Check the file and the public key.'));
  }
  const unchecked = erasures.filter(({ signature }) => signature === 'unchecked');
  if (unchecked.length > 0) {
    const text = `${count(unchecked.length, 'receipt')} ${unchecked.length === 1 ? 'was' : 'were'} not checked.`;
    found.push(finding('notice', 'receipt-unchecked', text, 'Give the public key of the receipts.'));
  }
  const verified = erasures.filter(({ signature }) => signature === 'verified');
  if (verified.length > 0 && again.length === 0) {
    const text = `${count(verified.length, 'receipt')} verified; a search of the store finds nothing of what ${verified.length === 1 ? 'it says' : 'they say'} was erased.`;
    found.push(finding('good', 'erased', text));
  }
  if (totals.withoutSubject > 0) {
    const text = `${count(totals.withoutSubject, 'conversation')} ${totals.withoutSubject === 1 ? 'has' : 'have'} no subject, so a request of a person does not find ${totals.withoutSubject === 1 ? 'it' : 'them'}.`;
    found.push(finding('notice', 'no-subject', text, 'Open sessions with { subject }.'));
  }
  return found;
}

function ofLog({ log, audits, layers }: Facts): Finding[] {
  const found: Finding[] = [];
  if (layers.length > 0 && audits === false) {
    const step = 'Add audit() as the outermost layer.';
    found.push(
      finding('problem', 'no-audit', 'The stack has no audit() layer: calls leave no record.', step),
    );
  }
  if (log === undefined) {
    const text = 'No audit log was given, so calls and redactions are not part of this report.';
    found.push(finding('notice', 'no-log', text, 'Write one with auditFile(), and give it to the report.'));
    return found;
  }
  if (log.unreadable > 0) {
    const text = `${count(log.unreadable, 'line')} of the audit log ${log.unreadable === 1 ? 'is' : 'are'} not understood and not counted.`;
    found.push(finding('notice', 'log-lines', text));
  }
  const denied = log.calls.byError.find(({ error }) => error === 'ERR_ACCESS_DENIED')?.calls ?? 0;
  if (denied > 0) {
    found.push(finding('notice', 'denied', `authorize() refused ${count(denied, 'call')}.`));
  }
  return found;
}
