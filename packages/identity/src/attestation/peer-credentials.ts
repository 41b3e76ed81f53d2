import type { Socket } from 'node:net';

/** The process at the other end of a Unix socket when it connected, by the kernel's word. */
export interface PeerCredentials {
  readonly uid: number;
  readonly pid: number;
}

export type ReadPeerCredentials = (socket: Socket) => PeerCredentials | undefined;

/** socket(7) and unix(7): SOL_SOCKET, SO_PEERCRED, and struct ucred {pid_t pid; uid_t uid; gid_t gid}. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;
/** What the kernel gives for a socket that has no peer credentials, such as a TCP one: pid 0, uid -1. */
const NO_UID = 0xffff_ffff;

/**
 * A reader of SO_PEERCRED. Linux only: elsewhere it answers undefined, and a caller needs a join token. Loads native code, so only the server
 * that attests by it pays for it.
 */
export async function peerCredentialsReader(): Promise<ReadPeerCredentials> {
  if (process.platform !== 'linux') return () => undefined;
  const { default: koffi } = await import('koffi');
  const getsockopt = koffi.load(null).func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)');
  return (socket) => {
    const fd = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
    if (fd === undefined || fd < 0) return undefined;
    const ucred = Buffer.alloc(UCRED_BYTES);
    const length = [UCRED_BYTES];
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, length) !== 0 || length[0] !== UCRED_BYTES) return undefined;
    const pid = ucred.readInt32LE(0);
    const uid = ucred.readUInt32LE(4);
    return pid <= 0 || uid === NO_UID ? undefined : { uid, pid };
  };
}
