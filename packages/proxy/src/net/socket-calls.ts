import type net from 'node:net';

/** What the kernel is asked about a socket that Node has no call for. */
export interface SocketCalls {
  /** '' or why not. */
  setOption(fd: number, level: number, name: number, value: Uint8Array): string;
  /** null: there is no such thing. */
  getOption(fd: number, level: number, name: number, bytes: number): Buffer | null;
  /** Another descriptor of the same socket, which no child gets; -1: there are too many. */
  duplicate(fd: number): number;
}

/** fcntl(2) */
const F_DUPFD_CLOEXEC = 1030;

/** Loads native code: only a listener whose configuration needs it pays for it. Rejects where there is none for this machine. */
export async function loadSocketCalls(): Promise<SocketCalls> {
  if (process.platform !== 'linux') throw new Error('socket options are known on Linux alone');
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const getsockopt = libc.func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)');
  const setsockopt = libc.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)');
  const fcntl = libc.func('int fcntl(int fd, int command, int least)');
  return {
    setOption(fd, level, name, value) {
      if (setsockopt(fd, level, name, value, value.length) === 0) return '';
      const codes = koffi.os.errno as Readonly<Record<string, number>>;
      const errno = koffi.errno();
      return Object.keys(codes).find((code) => codes[code] === errno) ?? `errno ${errno}`;
    },
    duplicate: (fd) => fcntl(fd, F_DUPFD_CLOEXEC, 3) as number,
    getOption(fd, level, name, bytes) {
      const value = Buffer.alloc(bytes);
      return getsockopt(fd, level, name, value, [bytes]) === 0 ? value : null;
    },
  };
}

/** Node has no public word for it; -1 where there is none. */
export function descriptorOf(socket: net.Socket | net.Server): number {
  return (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1;
}
