import type { Message } from '@outrigger/control-plane/api';

/** "Error [IST0106] (VirtualService default/a mesh.yaml:12) ...", as `istioctl analyze` users know it. */
export function messageLine(message: Message): string {
  const { kind, namespace, name } = message.resource;
  const resource = kind === '' ? '' : `${kind} ${namespace === '' ? name : `${namespace}/${name}`}`;
  const place = message.file === '' ? '' : `${message.file}${message.line > 0 ? `:${message.line}` : ''}`;
  const where = [resource, place].filter(Boolean).join(' ');
  return `${message.level} [${message.code}]${where === '' ? '' : ` (${where})`} ${message.message}`;
}
