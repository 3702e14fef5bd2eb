// Starts Swagger UI. Its colours follow the reader's scheme, and the examples of a
// model follow the model that is chosen.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () =>
  document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const JSON_TYPE = "application/json";
const REQUESTS = ["requestBody", "content", JSON_TYPE, "examples"];
const ANSWERS = ["responses", "200", "content", JSON_TYPE, "examples"];

// A request is named "MODEL: KIND", and so is the answer to it.
const modelOf = (name) => name.slice(0, Math.max(0, name.lastIndexOf(": ")));

// The operation is that of a path and a method, which Swagger UI has as a pair.
function chooser(system, pathMethod) {
  const find = (place) =>
    system.specSelectors.specResolvedSubtree(["paths", ...pathMethod])?.getIn(place);

  const mark = (name, contextType, contextName) =>
    system.oas3Actions.setActiveExamplesMember({
      name,
      pathMethod,
      contextType,
      contextName,
    });

  function fill(parameterName, value) {
    const parameter = find(["parameters"])?.find(
      (each) => each.get("name") === parameterName && each.get("in") === "path",
    );
    if (!parameter || value === undefined) return;
    system.specActions.changeParamByIdentity(pathMethod, parameter, value, false);
    mark(value, "parameters", `${parameterName}-path`);
  }

  return {
    // Has the path ask the model of a request, and the answer be that to it.
    followRequest(name) {
      if (find([...ANSWERS, name])) mark(name, "responses", "200");
      fill("name", modelOf(name) || undefined);
      fill("version", find([...ANSWERS, name, "value", "version"]));
    },

    // Puts the first request to a model into the body, unless the reader wrote one.
    followModel(model) {
      const active = system.oas3Selectors.activeExamplesMember(
        ...pathMethod,
        "requestBody",
        "requestBody",
      );
      const requests = find(REQUESTS);
      const name = requests?.keySeq().find((each) => modelOf(each) === model);
      if (!name || (active && modelOf(active) === model)) return;
      if (system.oas3Selectors.hasUserEditedBody(...pathMethod)) return;
      system.oas3Actions.setRequestBodyValue({
        value: JSON.stringify(requests.getIn([name, "value"]).toJS(), null, 2),
        pathMethod,
      });
      mark(name, "requestBody", "requestBody");
    },
  };
}

let key = "";

const KeepTogether = () => ({
  statePlugins: {
    oas3: {
      wrapActions: {
        setActiveExamplesMember: (original, system) => (chosen) => {
          const { name, pathMethod, contextType, contextName } = chosen;
          const before = system.oas3Selectors.activeExamplesMember(
            ...pathMethod,
            contextType,
            contextName,
          );
          const result = original(chosen);
          // Whoever follows marks what it has chosen; that is no new choice.
          if (name !== before) {
            const { followRequest, followModel } = chooser(system, pathMethod);
            if (contextType === "requestBody") followRequest(name);
            if (contextName === "name-path") followModel(name);
          }
          return result;
        },
      },
    },
    auth: {
      wrapActions: {
        // Who shows a key sees examples of everything.
        authorizeWithPersistOption: (original, system) => (payload) => {
          const result = original(payload);
          key = Object.values(payload)[0].value;
          system.specActions.download();
          return result;
        },
        logoutWithPersistOption: (original, system) => (names) => {
          const result = original(names);
          key = "";
          system.specActions.download();
          return result;
        },
      },
    },
  },
});

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  plugins: [KeepTogether],
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (request.loadSpec && key) request.headers.Authorization = `Bearer ${key}`;
    return request;
  },
});
