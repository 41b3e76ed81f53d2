/** Bounds on everything that a file may make us do. Above a bound the file is refused with a message, never cut short in silence. */

/** A ConfigMap or CRD of Kubernetes ends at 1.5 MB; several thousand resources fit into this. */
export const maxFileBytes = 4 * 1024 * 1024;
/** Of all files that are read together. */
export const maxTotalBytes = 32 * 1024 * 1024;
/** Documents of one file, items of Lists counted. */
export const maxDocuments = 10_000;
/** Depth of nesting; real resources stay below 30. */
export const maxDepth = 100;
/** Values that one document's aliases may stand for, once unfolded ("billion laughs"). */
export const maxAliasExpansions = 10_000;
/** Problems that one document reports before it says "and more". */
export const maxProblemsPerDocument = 100;
/** Kubernetes' own limit for etcd objects, of one resource as JSON. */
export const maxResourceBytes = 1_536 * 1024;
