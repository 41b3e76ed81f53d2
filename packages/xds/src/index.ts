export type { ReceivedResource, Rejection, ResourceHandler, ResourceUpdate, Verdict } from './client/handler.ts';
export type { ClientTls, GrpcTarget } from './grpc/target.ts';
export { targetText } from './grpc/target.ts';
export type { SecretStore } from './sds/store.ts';
export type { Caller, Change, ResourceSource, ResourceView, VersionedResource } from './source.ts';
export { TypeUrl } from './source.ts';
