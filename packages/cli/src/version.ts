/** The product's version: what `rig --version` says, and the control plane with it. */
export const version = '0.1.0';
