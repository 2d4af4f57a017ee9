/** What the entry point of every store exports besides its own names. */
export { historyDigest } from '../protocol/digest.ts';
export type { StoreSession } from './session.ts';
export type { ReplacePrefixArgs } from './session/prefix.ts';
export type {
  AppendBatch,
  DeletionReport,
  Derived,
  PurgeOptions,
  PurgeReport,
  SessionOptions,
  SessionSummary,
  SessionsOptions,
  Store,
} from './store.ts';
