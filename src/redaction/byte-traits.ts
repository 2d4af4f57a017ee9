import { symbolOf } from './literals.ts';

/** What a byte is: its symbol of literals, and these. */
export const AT = 0x20;
export const EQUALS = 0x40;
/** Tells a secret from words, as {@link namedSecretRecognizer} needs one of them. */
export const TELLING = 0x80;
/** Is looked at together with what stands around it. */
export const MARK = 0x100;
export const RUN = 0x200;
export const LETTER = 0x400;
export const DIGIT = 0x800;
export const HEX = 0x1000;
/** Between the digits of a number. */
export const SEPARATOR = 0x2000;
export const BACKSLASH = 0x4000;
export const SPACE = 0x8000;

export const TRAITS: Int32Array = Int32Array.from({ length: 256 }, (_, code) => {
  const character = String.fromCharCode(code);
  const bit = (pattern: RegExp, value: number): number => (pattern.test(character) ? value : 0);
  // What is no ASCII is 0 here; it may be a space.
  if (code === 0) return SPACE;
  if (code >= 0x80) return 0;
  return (
    symbolOf(code) |
    bit(/@/, AT) |
    bit(/=/, EQUALS) |
    bit(/[\d=:@#$%^&*]/, TELLING) |
    bit(/[\d:.%&\\-]/, MARK) |
    bit(/[\w/+=~-]/, RUN) |
    bit(/[A-Za-z]/, LETTER) |
    bit(/\d/, DIGIT) |
    bit(/[0-9A-Fa-f]/, HEX) |
    bit(/[ ()./-]/, SEPARATOR) |
    bit(/\\/, BACKSLASH) |
    // A quote too: what begins a literal of JSON text begins a text.
    bit(/[\s"]/, SPACE)
  );
});
