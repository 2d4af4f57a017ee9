/** What `strongroom doctor` found. */
export interface Finding {
  /** `error`: data is lost, unreadable or in clear. `warning`: it can become so. `note`: for your information. */
  readonly level: 'error' | 'warning' | 'note';
  /** The name of the check, stable for programs. */
  readonly check: string;
  readonly what: string;
  /** What to do. */
  readonly next: string;
}

/** Collects findings. */
export type Report = (level: Finding['level'], check: string, what: string, next: string) => void;
