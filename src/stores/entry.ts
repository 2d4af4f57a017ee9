/** The common exports of the entry points of all stores. */
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
