/** Field names of the SDK's items. Every other key may be content of a user: a name, a card number, a token. */
export const FIELD_NAMES: ReadonlySet<string> = new Set(
  (
    'action actions annotations arguments audio button call_id caller callerId callId code commands ' +
    'content created_by data detail diff encrypted_content execution exitCode file fileId filename ' +
    'fingerprint format id image keys logprobs maxOutputLength mediaType mode moveTo name namespace ' +
    'operation outcome output path phase providerData rawContent refusal result role scroll_x ' +
    'scroll_y status stderr stdout summary text timeoutMs tools transcript type url x y'
  ).split(' '),
);
