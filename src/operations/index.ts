export type {
  DekDatabase,
  DekFilter,
  DekRecord,
  DekStore,
  DekTombstone,
  HoldRecord,
  HoldStore,
} from '../keys/dek-store.ts';
export { memoryDekStore, type MemoryDekStoreOptions } from '../keys/memory-dek-store.ts';
export { sessionDekStore, type SessionDekStoreOptions } from '../keys/session-dek-store.ts';
export {
  sqliteDekStore,
  type SqliteDekStore,
  type SqliteDekStoreOptions,
} from '../stores/sqlite-dek-store.ts';
export { rewrap, type RewrapOptions, type RewrapProgress, type RewrapReport } from './rewrap.ts';
export { reencrypt, type ReencryptOptions, type ReencryptReport } from './reencrypt.ts';
export { checkKeys, type CheckKeysOptions, type KeyUse } from './check-keys.ts';
export { shred, type ShredOptions, type ShredReceipt } from './shred.ts';
export { hold, release, type HoldOptions } from './holds.ts';
export { purgeDataKeys, type PurgeDataKeysOptions, type PurgeDataKeysReport } from './purge-data-keys.ts';
export { destroyKey } from './destroy-key.ts';
export type { KeyTarget } from './key-places.ts';
export {
  openRunState,
  readRunState,
  sealRunState,
  type OpenedRunState,
  type OpenRunStateOptions,
  type SealRunStateOptions,
} from './run-state.ts';
export { migrate, type MigrateOptions, type MigrateReport } from './migrate.ts';
export {
  exportSession,
  type ExportSessionOptions,
  type ItemDetails,
  type SessionExport,
} from './export-session.ts';
export { readPythonSession, type PythonSession, type ReadPythonSessionOptions } from './python-session.ts';
export {
  verifySessions,
  type UnreadableRecord,
  type VerifyOptions,
  type VerifyReport,
} from './verify-sessions.ts';
export { importSession, type ImportReport, type ImportSessionOptions } from './import-session.ts';
