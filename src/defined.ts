/** `T` without members that are `undefined`: those that could be are optional. */
export type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Objects for users, and attributes, have no members that are `undefined`. */
export function defined<T extends object>(members: T): Defined<T> {
  // The filter omits the members that the type omits.
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;
}
