/** Starts Swagger UI on the service's own document. What is typed in stays in this tab's memory. */

/* global SwaggerUIBundle */

SwaggerUIBundle({
  dom_id: "#docs",
  url: "/api/openapi.json",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  presets: [SwaggerUIBundle.presets.apis],
  // Its default asks a server of Swagger's about the document.
  validatorUrl: null,
});
