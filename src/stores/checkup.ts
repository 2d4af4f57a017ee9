/** A setting of a database under which acknowledged writes are lost. */
export interface RiskySetting {
  /** `note`: the risk is a documented default. */
  readonly level: 'warning' | 'note';
  readonly what: string;
  /** What to do. */
  readonly next: string;
}

/** What a database lacks, beside what a store refuses or warns of when it connects. */
export interface StoreCheckup {
  readonly settings: readonly RiskySetting[];
  /** Names of indexes that the schema has and the database has not. */
  readonly missingIndexes: readonly string[];
}
