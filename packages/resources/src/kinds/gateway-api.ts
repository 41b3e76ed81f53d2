/** gateway.networking.k8s.io: what of it is acted on. A field that the schemas default is present. */
/** Of the classes that are ours. */
export const GATEWAY_CONTROLLER = 'outrigger.dev/gateway';
/** A class of ours that is there without a resource. */
export const BUILT_IN_GATEWAY_CLASS = 'outrigger';
/** Of a workload: the Gateway that it serves. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';

export interface GatewayClassSpec {
  readonly controllerName: string;
}

export interface ApiGatewaySpec {
  readonly gatewayClassName: string;
  readonly listeners?: readonly ApiListener[];
  /** From which namespaces ListenerSets may add listeners; none where nothing is said. */
  readonly allowedListeners?: { readonly namespaces?: { readonly from?: 'All' | 'Selector' | 'Same' | 'None'; readonly selector?: NamespaceSelector } };
  readonly addresses?: readonly { readonly type?: string; readonly value?: string }[];
  readonly tls?: {
    readonly frontend?: {
      readonly default?: { readonly validation?: FrontendValidation };
      readonly perPort?: readonly { readonly port: number; readonly tls?: { readonly validation?: FrontendValidation } }[];
    };
    /** What the gateway shows to backends that ask for a certificate. */
    readonly backend?: { readonly clientCertificateRef?: ObjectReference };
  };
}

export interface ListenerSetSpec {
  readonly parentRef: ObjectReference;
  readonly listeners?: readonly ApiListener[];
}

export interface FrontendValidation {
  readonly caCertificateRefs?: readonly ObjectReference[];
  readonly mode?: 'AllowValidOnly' | 'AllowInsecureFallback';
}

export interface ApiListener {
  readonly name: string;
  readonly hostname?: string;
  readonly port: number;
  readonly protocol: string;
  readonly tls?: { readonly mode?: 'Terminate' | 'Passthrough'; readonly certificateRefs?: readonly ObjectReference[] };
  readonly allowedRoutes?: {
    readonly kinds?: readonly { readonly group?: string; readonly kind: string }[];
    readonly namespaces?: { readonly from?: 'All' | 'Selector' | 'Same'; readonly selector?: NamespaceSelector };
  };
}

/** A type, not an interface, which would be no Json. */
export type NamespaceSelector = {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[];
};

export interface ObjectReference {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface ParentReference extends ObjectReference {
  readonly sectionName?: string;
  readonly port?: number;
}

export interface BackendReference extends ObjectReference {
  readonly port?: number;
  readonly weight?: number;
  readonly filters?: readonly ApiRouteFilter[];
  /** Nobody writes it: a Rollout lays it over references to its service. */
  readonly split?: BackendSplit;
}

/** A backend's traffic by subsets of the service, which Gateway API has not. */
interface BackendSplit {
  readonly subsets: readonly { readonly name: string; readonly weight: number }[];
  readonly mirror?: { readonly subset: string; readonly percent: number };
  readonly sticky?: { readonly header?: string; readonly cookie?: string };
}

interface RouteParents {
  readonly parentRefs?: readonly ParentReference[];
  readonly hostnames?: readonly string[];
}

export interface HttpApiRouteSpec extends RouteParents {
  readonly rules?: readonly HttpApiRule[];
}

export interface HttpApiRule {
  readonly name?: string;
  readonly matches?: readonly HttpApiMatch[];
  readonly filters?: readonly ApiRouteFilter[];
  readonly backendRefs?: readonly BackendReference[];
  readonly timeouts?: { readonly request?: string; readonly backendRequest?: string };
  readonly retry?: { readonly codes?: readonly number[]; readonly attempts?: number; readonly backoff?: string };
}

export interface NamedMatch {
  readonly type?: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

export interface HttpApiMatch {
  readonly path?: { readonly type?: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value?: string };
  readonly headers?: readonly NamedMatch[];
  readonly queryParams?: readonly NamedMatch[];
  readonly method?: string;
}

export interface HeaderModifier {
  readonly set?: readonly { readonly name: string; readonly value: string }[];
  readonly add?: readonly { readonly name: string; readonly value: string }[];
  readonly remove?: readonly string[];
}

export interface PathModifier {
  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  readonly replaceFullPath?: string;
  readonly replacePrefixMatch?: string;
}

export interface ApiRouteFilter {
  readonly type: string;
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestMirror?: {
    readonly backendRef: BackendReference;
    readonly percent?: number;
    readonly fraction?: { readonly numerator: number; readonly denominator?: number };
  };
  readonly requestRedirect?: {
    readonly scheme?: string;
    readonly hostname?: string;
    readonly path?: PathModifier;
    readonly port?: number;
    readonly statusCode?: number;
  };
  readonly urlRewrite?: { readonly hostname?: string; readonly path?: PathModifier };
  readonly cors?: {
    readonly allowOrigins?: readonly string[];
    readonly allowMethods?: readonly string[];
    readonly allowHeaders?: readonly string[];
    readonly exposeHeaders?: readonly string[];
    readonly allowCredentials?: boolean;
    readonly maxAge?: number;
  };
}

export interface GrpcApiRouteSpec extends RouteParents {
  readonly rules?: readonly {
    readonly name?: string;
    readonly matches?: readonly {
      readonly method?: { readonly type?: 'Exact' | 'RegularExpression'; readonly service?: string; readonly method?: string };
      readonly headers?: readonly NamedMatch[];
    }[];
    readonly filters?: readonly ApiRouteFilter[];
    readonly backendRefs?: readonly BackendReference[];
  }[];
}

export interface ConnectionApiRouteSpec extends RouteParents {
  readonly rules?: readonly { readonly name?: string; readonly backendRefs?: readonly BackendReference[] }[];
}

/** How a gateway makes TLS to the Services that it names. */
export interface BackendTlsPolicySpec {
  /** `sectionName`: a port by its name; absent: every port. */
  readonly targetRefs: readonly { readonly group: string; readonly kind: string; readonly name: string; readonly sectionName?: string }[];
  readonly validation: {
    readonly caCertificateRefs?: readonly ObjectReference[];
    readonly wellKnownCACertificates?: string;
    readonly hostname: string;
    readonly subjectAltNames?: readonly { readonly type: 'Hostname' | 'URI'; readonly hostname?: string; readonly uri?: string }[];
  };
}

export interface ReferenceGrantSpec {
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[];
}
