/** A host with a port and a sign behind it: what follows is no password of a URL. */
export const HOST_AND_PORT: string = String.raw`(?:localhost|[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}):\d{1,5}[,;|&)\]、，]`;
/** The rest of a list of hosts behind a first port: `27017,h2:27017` */
const MORE_HOSTS = String.raw`(?:,[\w.-]{1,253}(?::\d{1,5})?){0,16}`;
/** A port, or the ports of several hosts, before the path of a URL. */
export const PORT_BEFORE_PATH: string = String.raw`\d{1,5}${MORE_HOSTS}[/?#]`;
/** Several hosts, of which the last one has a port, too: `h1:9092,h2:9092;` */
export const HOSTS_AND_PORTS: string = String.raw`[\w.-]{1,253}:\d{1,5}${MORE_HOSTS},[\w.-]{1,253}:\d{1,5}[,;|&)\]/?#、，]`;
