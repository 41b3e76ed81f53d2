export { startControlPlane } from './control-plane.ts';
export {
  type Addresses,
  type Bind,
  type Clock,
  type ControlPlane,
  type ControlPlaneOptions,
  type LogEntry,
  StartError,
  type StartErrorCode,
} from './options.ts';
