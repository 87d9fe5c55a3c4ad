//! Every test of the suite, by its name there: which manifests it loads and what it does, or why it is not run.

use super::{
    Kind, Test,
    cases::{
        backend_tls, gateway, generations, grpc_route, http_filters, http_matching, http_references, http_traffic,
        tls_route,
    },
};

macro_rules! tests {
    ($($name:literal $manifests:tt $run:expr;)+) => {
        &[$(Test { name: $name, kind: tests!(@kind $manifests $run) },)+]
    };
    (@kind [$($manifest:literal),*] $run:expr) => {
        Kind::Runnable { manifests: &[$($manifest),*], run: |suite| Box::pin($run(suite)) }
    };
    (@kind - $reason:expr) => { Kind::NotRun($reason) };
}

const OBJECTS: &str = "looks at objects that a controller makes in a cluster";
const ADDRESSES: &str = "an address that cannot be bound refuses the revision, which stays as it was";
const SUPPORTED: &str = "is about gateways that lack what this one has";
const LISTENER_SETS: &str = "ListenerSets are not served";
const TCP: &str = "TCPRoutes are not served";
const UDP: &str = "UDPRoutes are not served";
const MESH: &str = "is about service meshes";

pub(super) const TESTS: &[Test] = tests! {
    "BackendTLSPolicy" ["backendtlspolicy"] backend_tls::policy;
    "BackendTLSPolicyConflictResolution" ["backendtlspolicy-conflict-resolution"] backend_tls::conflicts;
    "BackendTLSPolicyGRPCRoute" ["backendtlspolicy-grpcroute"] backend_tls::grpc;
    "BackendTLSPolicyInvalidCACertificateRef" ["backendtlspolicy-invalid-ca-certificate-ref"]
        backend_tls::invalid_authority;
    "BackendTLSPolicyInvalidKind" ["backendtlspolicy-invalid-kind"] backend_tls::invalid_kind;
    "BackendTLSPolicyObservedGenerationBump" ["backendtlspolicy-observed-generation-bump"] generations::policy;
    "BackendTLSPolicySANValidation" ["backendtlspolicy-san"] backend_tls::subject_alt_names;
    "BackendTLSPolicyTLSRouteTerminate" ["backendtlspolicy-tlsroute-terminate"] backend_tls::terminated_tls_route;

    "GRPCExactMethodMatching" ["grpcroute-exact-method-matching"] grpc_route::exact_method;
    "GRPCRouteHeaderMatching" ["grpcroute-header-matching"] grpc_route::headers;
    "GRPCRouteListenerHostnameMatching" ["grpcroute-listener-hostname-matching"] grpc_route::listener_hostnames;
    "GRPCRouteNamedRule" ["grpcroute-named-rule"] grpc_route::named_rules;
    "GRPCRouteRequestHeaderModifier" ["grpcroute-request-header-modifier"] grpc_route::request_headers;
    "GRPCRouteWeight" ["grpcroute-weight"] grpc_route::weights;

    "GatewayClassObservedGenerationBump" ["gatewayclass-observed-generation-bump"] generations::gateway_class;
    "GatewayFrontendClientCertificateValidation" ["gateway-with-clientcertificate-validation"]
        gateway::client_validation;
    "GatewayFrontendClientCertificateValidationInsecureFallback"
        ["gateway-with-clientcertificate-validation-insecure-fallback"] gateway::insecure_fallback;
    "GatewayFrontendInvalidDefaultClientCertificateValidation"
        ["gateway-invalid-default-frontend-client-certificate-validation"] gateway::invalid_default_validation;
    "GatewayHTTPListenerIsolation"
        ["gateway-http-listener-isolation", "gateway-http-listener-isolation-with-hostname-intersection"]
        http_matching::listener_isolation;
    "GatewayInfrastructure" - OBJECTS;
    "GatewayInvalidFrontendClientCertificateValidation" ["gateway-with-invalid-clientcertificate-validation"]
        gateway::invalid_validation_by_port;
    "GatewayInvalidParametersRef" ["gateway-invalid-parameters-ref"] gateway::invalid_parameters;
    "GatewayInvalidRouteKind" ["gateway-invalid-route-kind"] gateway::invalid_route_kind;
    "GatewayInvalidTLSBackendConfiguration" ["gateway-invalid-tls-backend-configuration"]
        gateway::invalid_client_certificate;
    "GatewayInvalidTLSConfiguration" ["gateway-invalid-tls-configuration"] gateway::invalid_certificate;
    "GatewayListenerUnsupportedProtocol" ["gateway-invalid-listeners-unsupported-protocol"]
        gateway::unsupported_protocol;
    "GatewayModifyListeners" ["gateway-modify-listeners"] gateway::modify_listeners;
    "GatewayNameMaximumLength" ["gateway-name-maximum-length"] gateway::long_name;
    "GatewayObservedGenerationBump" ["gateway-observed-generation-bump"] generations::gateway;
    "GatewayOptionalAddressValue" ["gateway-optional-address-value"] gateway::address_without_value;
    "GatewaySecretInvalidReferenceGrant" ["gateway-secret-invalid-reference-grant"] gateway::secret_invalid_grant;
    "GatewaySecretMissingReferenceGrant" ["gateway-secret-missing-reference-grant"] gateway::secret_missing_grant;
    "GatewaySecretReferenceGrantAllInNamespace" ["gateway-secret-reference-grant-all-in-namespace"]
        gateway::secret_grant_for_all;
    "GatewaySecretReferenceGrantSpecific" ["gateway-secret-reference-grant-specific"] gateway::secret_grant_for_one;
    "GatewayStaticAddresses" - ADDRESSES;
    "GatewayTLSBackendClientCertificate" ["gateway-tls-backend-client-certificate"] backend_tls::client_certificate;
    "GatewayWithAttachedRoutes" ["gateway-with-attached-routes"] gateway::attached_routes;
    "GatewayWithAttachedRoutesWithPort8080" ["gateway-with-attached-routes-with-port-8080"]
        gateway::attached_routes_8080;

    "HTTPRoute303Redirect" ["httproute-303-redirect"] http_filters::redirect_303;
    "HTTPRoute307Redirect" ["httproute-307-redirect"] http_filters::redirect_307;
    "HTTPRoute308Redirect" ["httproute-308-redirect"] http_filters::redirect_308;
    "HTTPRouteBackendProtocolH2C" ["httproute-backend-protocol-h2c"] http_traffic::h2c_backend;
    "HTTPRouteBackendProtocolWebSocket" ["httproute-backend-protocol-websocket"] http_traffic::web_socket;
    "HTTPRouteBackendRequestHeaderModifier" ["httproute-request-header-modifier-backend"]
        http_filters::request_headers;
    "HTTPRouteBackendRequestRedirect" ["httproute-backend-request-redirect"] http_filters::backend_redirect;
    "HTTPRouteBackendURLRewrite" ["httproute-backend-url-rewrite"] http_filters::backend_rewrite;
    "HTTPRouteCORS" ["httproute-cors"] http_filters::cors;
    "HTTPRouteCrossNamespace" ["httproute-cross-namespace"] http_matching::cross_namespace;
    "HTTPRouteDisallowedKind" ["httproute-disallowed-kind"] http_references::disallowed_kind;
    "HTTPRouteExactPathMatching" ["httproute-exact-path-matching"] http_matching::exact_path;
    "HTTPRouteHTTPSListener" ["httproute-https-listener"] http_matching::https_listener;
    "HTTPRouteHTTPSListenerDetectMisdirectedRequests" ["httproute-https-listener-detect-misdirected-requests"]
        http_matching::misdirected_requests;
    "HTTPRouteHeaderMatching" ["httproute-header-matching"] http_matching::headers;
    "HTTPRouteHostnameIntersection" ["httproute-hostname-intersection"] http_matching::hostname_intersection;
    "HTTPRouteInvalidBackendRefUnknownKind" ["httproute-invalid-backendref-unknown-kind"]
        http_references::unknown_kind;
    "HTTPRouteInvalidCrossNamespaceBackendRef" ["httproute-invalid-cross-namespace-backend-ref"]
        http_references::cross_namespace_backend;
    "HTTPRouteInvalidCrossNamespaceParentRef" ["httproute-invalid-cross-namespace-parent-ref"]
        http_references::cross_namespace_parent;
    "HTTPRouteInvalidNonExistentBackendRef" ["httproute-invalid-nonexistent-backendref"]
        http_references::nonexistent_backend;
    "HTTPRouteInvalidParentRefNotMatchingListenerPort" ["httproute-invalid-parentref-not-matching-listener-port"]
        http_references::parent_port;
    "HTTPRouteInvalidParentRefNotMatchingSectionName" ["httproute-invalid-parentref-not-matching-section-name"]
        http_references::parent_section_name;
    "HTTPRouteInvalidParentRefSectionNameNotMatchingPort"
        ["httproute-invalid-parentref-section-name-not-matching-port"] http_references::parent_section_name_and_port;
    "HTTPRouteInvalidReferenceGrant" ["httproute-invalid-reference-grant"] http_references::invalid_reference_grant;
    "HTTPRouteListenerHostnameMatching" ["httproute-listener-hostname-matching"] http_matching::listener_hostnames;
    "HTTPRouteListenerPortMatching" ["httproute-listener-port-matching"] http_matching::listener_ports;
    "HTTPRouteMatching" ["httproute-matching"] http_matching::matching;
    "HTTPRouteMatchingAcrossRoutes" ["httproute-matching-across-routes"] http_matching::across_routes;
    "HTTPRouteMethodMatching" ["httproute-method-matching"] http_matching::methods;
    "HTTPRouteMultipleGateways" ["httproute-multiple-gateways"] http_matching::multiple_gateways;
    "HTTPRouteNamedRule" ["httproute-named-rule"] http_matching::named_rules;
    "HTTPRouteNoBackendRefs" ["httproute-omitted-backendrefs"] http_references::no_backends;
    "HTTPRouteObservedGenerationBump" ["httproute-observed-generation-bump"] generations::http_route;
    "HTTPRoutePartiallyInvalidViaInvalidReferenceGrant"
        ["httproute-partially-invalid-via-invalid-reference-grant"] http_references::partially_invalid;
    "HTTPRoutePathMatchOrder" ["httproute-path-match-order"] http_matching::path_order;
    "HTTPRouteQueryParamMatching" ["httproute-query-param-matching"] http_matching::query_parameters;
    "HTTPRouteRedirectHostAndStatus" ["httproute-redirect-host-and-status"] http_filters::redirect_host_and_status;
    "HTTPRouteRedirectPath" ["httproute-redirect-path"] http_filters::redirect_path;
    "HTTPRouteRedirectPort" ["httproute-redirect-port"] http_filters::redirect_port;
    "HTTPRouteRedirectPortAndScheme" ["httproute-redirect-port-and-scheme"] http_filters::redirect_port_and_scheme;
    "HTTPRouteRedirectScheme" ["httproute-redirect-scheme"] http_filters::redirect_scheme;
    "HTTPRouteReferenceGrant" ["httproute-reference-grant"] http_references::reference_grant;
    "HTTPRouteRequestHeaderModifier" ["httproute-request-header-modifier"] http_filters::request_headers;
    "HTTPRouteRequestHeaderModifierBackendWeights" ["httproute-request-header-modifier-backend-weights"]
        http_traffic::header_by_backend;
    "HTTPRouteRequestMirror" ["httproute-request-mirror"] http_traffic::mirror;
    "HTTPRouteRequestMultipleMirrors" ["httproute-request-multiple-mirrors"] http_traffic::mirrors;
    "HTTPRouteRequestPercentageMirror" ["httproute-request-percentage-mirror"] http_traffic::mirror_shares;
    "HTTPRouteResponseHeaderModifier" ["httproute-response-header-modifier"] http_filters::response_headers;
    "HTTPRouteRetry" ["httproute-retry"] http_traffic::retry;
    "HTTPRouteRetryConnectionError" ["httproute-retry-connection-error"] http_traffic::retry_connection_error;
    "HTTPRouteRetryWithTimeouts" ["httproute-retry-with-timeouts"] http_traffic::retry_with_timeouts;
    "HTTPRouteRewriteHost" ["httproute-rewrite-host"] http_filters::rewrite_host;
    "HTTPRouteRewritePath" ["httproute-rewrite-path"] http_filters::rewrite_path;
    "HTTPRouteServiceTypes" ["httproute-service-types"] http_traffic::service_types;
    "HTTPRouteSimpleSameNamespace" ["httproute-simple-same-namespace"] http_matching::simple_same_namespace;
    "HTTPRouteTimeoutBackendRequest" ["httproute-timeout-backend-request"] http_traffic::backend_request_timeout;
    "HTTPRouteTimeoutRequest" ["httproute-timeout-request"] http_traffic::request_timeout;
    "HTTPRouteWeight" ["httproute-weight"] http_traffic::weights;

    "TLSRouteHostnameIntersection" ["tlsroute-hostname-intersection"] tls_route::hostname_intersection;
    "TLSRouteInvalidBackendRefNonexistent" ["tlsroute-invalid-backendref-nonexistent"] tls_route::nonexistent_backend;
    "TLSRouteInvalidBackendRefUnknownKind" ["tlsroute-invalid-backendref-unknown-kind"] tls_route::unknown_kind;
    "TLSRouteInvalidNoMatchingListener" ["tlsroute-invalid-no-matching-listener"] tls_route::no_matching_listener;
    "TLSRouteInvalidNoMatchingListenerHostname" ["tlsroute-invalid-no-matching-listener-hostname"]
        tls_route::no_matching_hostname;
    "TLSRouteInvalidReferenceGrant" ["tlsroute-invalid-reference-grant"] tls_route::invalid_reference_grant;
    "TLSRouteListenerMixedTerminationNotSupported" - SUPPORTED;
    "TLSRouteListenerPassthroughSupportedKinds" ["tlsroute-listener-passthrough-supported-kinds"]
        tls_route::passthrough_kinds;
    "TLSRouteListenerTerminateNotSupported" - SUPPORTED;
    "TLSRouteListenerTerminateSupportedKinds" ["tlsroute-listener-terminate-supported-kinds"]
        tls_route::terminate_kinds;
    "TLSRouteMixedTerminationSameNamespace" ["tlsroute-mixed-termination-same-namespace"] tls_route::mixed;
    "TLSRouteSimpleSameNamespace" ["tlsroute-simple-same-namespace"] tls_route::simple;
    "TLSRouteTerminateSimpleSameNamespace" ["tlsroute-terminate-simple-same-namespace"] tls_route::terminated;

    "ListenerSetAllowedNamespaceNone" - LISTENER_SETS;
    "ListenerSetAllowedNamespaceSame" - LISTENER_SETS;
    "ListenerSetAllowedNamespaceSelector" - LISTENER_SETS;
    "ListenerSetAllowedRoutesNamespaces" - LISTENER_SETS;
    "ListenerSetAllowedRoutesSupportedKinds" - LISTENER_SETS;
    "ListenerSetDefaultNotAllowed" - LISTENER_SETS;
    "ListenerSetDualParentRefIndependence" - LISTENER_SETS;
    "ListenerSetGatewayParentSectionNameNotFound" - LISTENER_SETS;
    "ListenerSetHTTPRouting" - LISTENER_SETS;
    "ListenerSetHostnameConflict" - LISTENER_SETS;
    "ListenerSetProtocolConflict" - LISTENER_SETS;
    "ListenerSetReferenceGrant" - LISTENER_SETS;
    "ListenerSetRouteStatusScopedToParentRef" - LISTENER_SETS;

    "TCPRouteInvalidBackendRefNonexistent" - TCP;
    "TCPRouteInvalidCrossNamespaceBackendRef" - TCP;
    "TCPRouteInvalidNonTCPListener" - TCP;
    "TCPRouteMultipleRoutesAttachment" - TCP;
    "TCPRouteParentRefAttachAll" - TCP;
    "TCPRouteParentRefPortAndSectionName" - TCP;
    "TCPRouteReferenceGrant" - TCP;
    "TCPRouteWeightedRouting" - TCP;

    "UDPRoute" - UDP;
    "UDPRouteInvalidBackendRefNonexistent" - UDP;
    "UDPRouteInvalidCrossNamespaceBackendRef" - UDP;
    "UDPRouteMultipleRoutesAttachment" - UDP;
    "UDPRouteNotAllowedByListeners" - UDP;
    "UDPRouteParentRefAttachAllListeners" - UDP;
    "UDPRouteParentRefPortAndSectionName" - UDP;
    "UDPRouteReferenceGrant" - UDP;
    "UDPRouteWeightedRouting" - UDP;

    "MeshBasic" - MESH;
    "MeshConsumerRoute" - MESH;
    "MeshFrontend" - MESH;
    "MeshFrontendHostname" - MESH;
    "MeshGRPCRouteRequestHeaderModifier" - MESH;
    "MeshGRPCRouteWeight" - MESH;
    "MeshHTTPRoute303Redirect" - MESH;
    "MeshHTTPRoute307Redirect" - MESH;
    "MeshHTTPRoute308Redirect" - MESH;
    "MeshHTTPRouteBackendRequestHeaderModifier" - MESH;
    "MeshHTTPRouteMatching" - MESH;
    "MeshHTTPRouteNamedRule" - MESH;
    "MeshHTTPRouteQueryParamMatching" - MESH;
    "MeshHTTPRouteRedirectHostAndStatus" - MESH;
    "MeshHTTPRouteRedirectPath" - MESH;
    "MeshHTTPRouteRedirectPort" - MESH;
    "MeshHTTPRouteRequestHeaderModifier" - MESH;
    "MeshHTTPRouteRewritePath" - MESH;
    "MeshHTTPRouteSchemeRedirect" - MESH;
    "MeshHTTPRouteSimpleSameNamespace" - MESH;
    "MeshHTTPRouteWeight" - MESH;
    "MeshPorts" - MESH;
    "MeshTrafficSplit" - MESH;
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::conformance::manifests::Manifest;

    /// How many tests the suite has.
    const COUNT: usize = 162;

    #[test]
    fn every_test_is_listed_once_and_has_its_manifests() {
        let names: BTreeSet<_> = TESTS.iter().map(|test| test.name).collect();
        assert_eq!((names.len(), TESTS.len()), (COUNT, COUNT));
        for test in TESTS {
            let Kind::Runnable { manifests, .. } = &test.kind else { continue };
            assert!(!manifests.is_empty(), "{}", test.name);
            assert!(manifests.iter().all(|name| !Manifest::of_test(name).documents().is_empty()), "{}", test.name);
        }
    }
}
