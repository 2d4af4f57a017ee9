/** A host with a port and a sign behind it: what follows is no password of a URL. */
export const HOST_AND_PORT: string = String.raw`(?:localhost|[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}):\d{1,5}[,;|&)\]、，]`;
