package hub.registry.client;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.springframework.boot.Banner;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.cloud.client.discovery.DiscoveryClient;
import org.springframework.cloud.client.serviceregistry.AbstractAutoServiceRegistration;
import org.springframework.context.ConfigurableApplicationContext;

/** What the programs have in common; see tests/clients/spring/README.md. */
final class Program {

  private Program() {}

  /** Runs the application with these settings, or others where they follow the four arguments. */
  static void run(Class<?> application, String[] arguments, String... settings) throws Exception {
    // What is logged goes to standard error, so that the answers are alone on standard output.
    PrintStream answers = System.out;
    System.setOut(System.err);
    // On the class path of every program is the library of Nacos, whose logs go to the user's home.
    System.setProperty("nacos.logging.default.config.enabled", "false");
    try (ConfigurableApplicationContext context =
        new SpringApplicationBuilder(application)
            .web(WebApplicationType.NONE)
            .bannerMode(Banner.Mode.OFF)
            .properties(settings)
            .run(Arrays.copyOfRange(arguments, 4, arguments.length))) {
      // As a web server does when it has started.
      context.getBean(AbstractAutoServiceRegistration.class).start();
      DiscoveryClient discovery = context.getBean(DiscoveryClient.class);
      ObjectMapper json = new ObjectMapper();
      answers.println(json.writeValueAsString(Map.of("ready", true)));
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(" ");
        if (words[0].equals("find")) {
          answers.println(json.writeValueAsString(find(discovery, words[1])));
        }
      }
    }
  }

  // Without its server, Spring may throw, which an application survives.
  private static Map<String, Object> find(DiscoveryClient discovery, String name) {
    try {
      List<Map<String, Object>> found =
          discovery.getInstances(name).stream()
              .map(
                  one ->
                      Map.<String, Object>of(
                          "host", one.getHost(),
                          "port", one.getPort(),
                          "metadata", one.getMetadata()))
              .toList();
      return Map.of("found", found);
    } catch (RuntimeException error) {
      return Map.of("found", List.of(), "error", error.toString());
    }
  }
}
