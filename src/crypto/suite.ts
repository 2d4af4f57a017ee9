import type { AeadFactory } from './aead.ts';
import { loadXaes256gcm, xaes256gcm } from './xaes-256-gcm.ts';
import { xchacha20poly1305 } from './xchacha20-poly1305.ts';

/** The suites that an entry can be sealed with. */
export type SuiteName = 'XC20P' | 'XAES-256-GCM';

const SUITES: Readonly<Record<SuiteName, AeadFactory>> = {
  XC20P: xchacha20poly1305,
  'XAES-256-GCM': xaes256gcm,
};

export const SUITE_NAMES: readonly SuiteName[] = Object.keys(SUITES) as SuiteName[];

export function isSuiteName(value: unknown): value is SuiteName {
  return typeof value === 'string' && (SUITE_NAMES as readonly string[]).includes(value);
}

/** Loads what a suite needs on this runtime; `undefined` where nothing is to be loaded. */
export function loadSuite(name: SuiteName): Promise<unknown> | undefined {
  return name === 'XAES-256-GCM' ? loadXaes256gcm() : undefined;
}

/** The suite of this name, native where that is possible; {@link loadSuite} comes first. */
export function suite(name: SuiteName): AeadFactory {
  return SUITES[name];
}
