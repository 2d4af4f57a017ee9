/** Luhn's checksum over a string of digits (ISO/IEC 7812-1, annex B). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    let digit = digits.charCodeAt(digits.length - 1 - index) - 48;
    if (index % 2 === 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return digits.length > 0 && sum % 10 === 0;
}

/** ISO/IEC 7064 mod 97-10 over letters and digits, as IBANs use it (ISO 13616-1): the remainder. */
export function remainder97(characters: string): number {
  let remainder = 0;
  for (let index = 0; index < characters.length; index++) {
    const value = Number.parseInt(characters[index] as string, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder;
}
