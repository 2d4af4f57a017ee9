import type { Session } from '@openai/agents';
import type { OperationIO } from '../engine/rare-calls.ts';
import type { CallKind } from '../layer.ts';
import { originOf, refuseOrigin } from '../protocol/call-origin.ts';
import { CALLS } from '../session-contract.ts';
import { engineOf } from '../wrap-session.ts';
import { isDekStore, isSession, isStore } from './targets.ts';

/**
 * Runs work on a wrapped session or store as a call of its own: inside the `around` hooks of the layers, so that it
 * is authorized and audited, also when its options are refused. For a target without layers, such as a DEK store,
 * the work runs directly.
 *
 * @param options May hold who calls and why (`CallOrigin`).
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when they do and the target has no layers.
 */
export async function asCall<T>(
  target: unknown,
  kind: CallKind,
  options: unknown,
  work: (io?: OperationIO) => Promise<T>,
): Promise<T> {
  if (isBare(target)) refuseOrigin(kind, options);
  return insideLayers(target, kind, options, work);
}

/** A store or a DEK store without layers. */
function isBare(target: unknown): boolean {
  return isDekStore(target) || (isStore(target) && target[CALLS] === undefined);
}

async function insideLayers<T>(
  target: unknown,
  kind: CallKind,
  options: unknown,
  work: (io?: OperationIO) => Promise<T>,
): Promise<T> {
  const origin = originOf(options);
  const calls = isStore(target) ? target[CALLS] : undefined;
  if (calls !== undefined) return calls.whole(kind, origin, async () => work());
  const engine = isSession(target) ? engineOf(target) : undefined;
  return engine === undefined ? work() : engine.rare().operate(kind, origin, work);
}

/** The same for one session of a store, after the call on the store; a session that was the target is in its call. */
export async function asCallOfEach<T>(
  target: unknown,
  session: Session,
  kind: CallKind,
  options: unknown,
  work: () => Promise<T>,
): Promise<T> {
  return isStore(target) ? asCall(session, kind, options, work) : work();
}

/** The same for work on several targets: a call on each of them, before any work is done. */
export async function asCallOfAll<T>(
  targets: unknown,
  kind: CallKind,
  options: unknown,
  work: () => Promise<T>,
): Promise<T> {
  const list: readonly unknown[] = Array.isArray(targets) ? targets : [targets];
  if (list.every(isBare)) refuseOrigin(kind, options);
  const nested = list.reduceRight<() => Promise<T>>(
    (inside, target) => async () => insideLayers(target, kind, options, inside),
    work,
  );
  return nested();
}
