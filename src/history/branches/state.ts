/** The recorded properties of a branch. */
export interface BranchFacts {
  readonly name: string;
  /** Unix milliseconds; unknown for a branch of an earlier version. */
  readonly created?: number;
  /** The branch that it was made from. */
  readonly from?: string;
  /** It is being deleted: its name is not free yet, and nobody may go there. */
  readonly leaves?: true;
}

/** The state of the branches of a conversation. */
export interface BranchState {
  readonly current: string;
  readonly branches: ReadonlyMap<string, BranchFacts>;
}

/**
 * A change of the branches. Notes are applied in the order in which they were stored, also those of concurrent
 * processes.
 */
export type BranchNote =
  | { readonly do: 'create'; readonly branch: BranchFacts }
  | { readonly do: 'switch'; readonly name: string }
  | { readonly do: 'leave'; readonly name: string }
  | { readonly do: 'stay'; readonly branch: BranchFacts; readonly isCurrent: boolean }
  | { readonly do: 'delete'; readonly name: string }
  | { readonly do: 'begin'; readonly current: string; readonly branches: readonly BranchFacts[] };

/** The conversation itself. */
export const MAIN = 'main';

export function stateOf(notes: readonly object[]): BranchState {
  let current = MAIN;
  let branches = new Map<string, BranchFacts>();
  for (const note of notes as readonly BranchNote[]) {
    switch (note.do) {
      case 'begin':
        current = note.current;
        branches = new Map(note.branches.map((branch) => [branch.name, branch]));
        break;
      case 'create':
        branches.set(note.branch.name, note.branch);
        break;
      case 'switch':
        current = note.name;
        break;
      case 'leave':
        branches.set(note.name, { ...branches.get(note.name), name: note.name, leaves: true });
        if (current === note.name) current = MAIN;
        break;
      case 'stay':
        branches.set(note.branch.name, note.branch);
        if (note.isCurrent) current = note.branch.name;
        break;
      case 'delete':
        branches.delete(note.name);
        if (current === note.name) current = MAIN;
        break;
    }
  }
  return { current, branches };
}

export function summaryOf(notes: readonly object[]): BranchNote {
  const { current, branches } = stateOf(notes);
  return { do: 'begin', current, branches: [...branches.values()] };
}
