/** `T` without members that are `undefined`: those that could be are optional. */
export type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** What users get, and what is written as attributes, has no members that are `undefined`. */
export function defined<T extends object>(members: T): Defined<T> {
  // The loop leaves out what the type says.
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;
}
